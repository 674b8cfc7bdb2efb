// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the connection is.

use std::sync::Arc;

use virtus_api::{
    ConnectGetType, ConnectGetVersion, ConnectSupportsFeature, Error, ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::by;

use crate::driver::LxcDriver;

/// Typed parameters may be texts; without it clients leave such parameters out.
const TYPED_PARAM_STRING: i32 = 9;

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new().on(by(get_type)).on(by(get_version)).on(by(supports))
}

async fn get_type(_: Arc<LxcDriver>, _: Call, _: ConnectGetType) -> Result<String> {
    Ok("LXC".to_owned())
}

/// The version of what runs containers: the kernel.
async fn get_version(_: Arc<LxcDriver>, _: Call, _: ConnectGetVersion) -> Result<u64> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    version(&release).ok_or_else(|| {
        let text = format!("the kernel's version '{release}' is not understood");
        Error::new(ErrorCode::OperationFailed, text)
    })
}

/// `6.1.62-generic` is 6001062.
fn version(release: &str) -> Option<u64> {
    let numbers = release.split(|c: char| !c.is_ascii_digit()).take(3);
    let mut numbers = numbers.map(|number| number.parse::<u64>().unwrap_or_default());
    let (major, minor) = (numbers.next().filter(|major| *major > 0)?, numbers.next()?);
    Some(major * 1_000_000 + minor * 1_000 + numbers.next().unwrap_or_default())
}

async fn supports(_: Arc<LxcDriver>, _: Call, request: ConnectSupportsFeature) -> Result<i32> {
    Ok(i32::from(request.feature == TYPED_PARAM_STRING))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_of_kernels_are_numbers() {
        assert_eq!(version("6.1.62-generic"), Some(6_001_062));
        assert_eq!(version("7.2-rc1"), Some(7_002_000));
        assert_eq!(version("unknown"), None);
    }
}
