// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How fast the guest changes its memory, as far as QEMU has measured it.

use serde_json::Value;

/// A measurement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DirtyRate {
    /// 0: never asked for; 1: under way; 2: done.
    pub(crate) status: i32,
    pub(crate) start: i64,
    pub(crate) period: i32,
    pub(crate) mode: String,
    /// Once it is done.
    pub(crate) megabytes_per_second: Option<i64>,
}

/// Reads the reply to `query-dirty-rate`.
pub(crate) fn read(reply: &Value) -> Option<DirtyRate> {
    let status = match reply["status"].as_str()? {
        "measuring" => 1,
        "measured" => 2,
        _ => 0,
    };
    Some(DirtyRate {
        status,
        start: reply["start-time"].as_i64().unwrap_or_default(),
        period: reply["calc-time"].as_i64().and_then(|time| time.try_into().ok()).unwrap_or(0),
        mode: reply["mode"].as_str().unwrap_or_default().to_owned(),
        megabytes_per_second: reply["dirty-rate"].as_i64().filter(|_| status == 2),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rate_is_told_once_it_is_measured() {
        let reply = json!({ "status": "measured", "dirty-rate": 12, "start-time": 5,
                            "calc-time": 1, "mode": "page-sampling", "sample-pages": 512 });
        let rate = read(&reply).unwrap();
        assert_eq!((rate.status, rate.megabytes_per_second), (2, Some(12)));
        assert_eq!((rate.start, rate.period, rate.mode.as_str()), (5, 1, "page-sampling"));
        let unstarted = read(&json!({ "status": "unstarted", "mode": "page-sampling" })).unwrap();
        assert_eq!((unstarted.status, unstarted.megabytes_per_second), (0, None));
        assert_eq!(read(&Value::Null), None);
    }
}
