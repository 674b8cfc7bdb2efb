// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the log takes, and where it goes.

use std::sync::Arc;

use virtus_api::{
    AdminConnectGetLoggingFilters, AdminConnectGetLoggingFiltersReply,
    AdminConnectGetLoggingOutputs, AdminConnectGetLoggingOutputsReply,
    AdminConnectSetLoggingFilters, AdminConnectSetLoggingOutputs, Error, ErrorCode, Result,
};
use virtus_core::log::{Filter, Output, Settings};
use virtus_core::{Call, Routes};

use super::{Admin, check_flags, off_thread};

pub(super) fn routes() -> Routes<Admin> {
    Routes::new().on(get_filters).on(set_filters).on(get_outputs).on(set_outputs)
}

async fn get_filters(
    admin: Arc<Admin>,
    _: Call,
    request: AdminConnectGetLoggingFilters,
) -> Result<AdminConnectGetLoggingFiltersReply> {
    check_flags(request.flags, 0, "adminConnectGetLoggingFilters")?;
    let (text, nfilters) = joined(&admin.log.settings().filters);
    Ok(AdminConnectGetLoggingFiltersReply { filters: (nfilters > 0).then_some(text), nfilters })
}

async fn set_filters(
    admin: Arc<Admin>,
    _: Call,
    request: AdminConnectSetLoggingFilters,
) -> Result<()> {
    check_flags(request.flags, 0, "adminConnectSetLoggingFilters")?;
    let filters = Filter::parse_all(request.filters.as_deref().unwrap_or_default())?;
    admin.change_log(move |settings| settings.filters.clone_from(&filters)).await
}

async fn get_outputs(
    admin: Arc<Admin>,
    _: Call,
    request: AdminConnectGetLoggingOutputs,
) -> Result<AdminConnectGetLoggingOutputsReply> {
    check_flags(request.flags, 0, "adminConnectGetLoggingOutputs")?;
    let (outputs, noutputs) = joined(&admin.log.settings().outputs);
    Ok(AdminConnectGetLoggingOutputsReply { outputs, noutputs })
}

/// Without any, the log goes where it goes if nobody says anything.
async fn set_outputs(
    admin: Arc<Admin>,
    _: Call,
    request: AdminConnectSetLoggingOutputs,
) -> Result<()> {
    check_flags(request.flags, 0, "adminConnectSetLoggingOutputs")?;
    let mut outputs = Output::parse_all(request.outputs.as_deref().unwrap_or_default())?;
    if outputs.is_empty() {
        outputs.clone_from(&admin.usual_outputs);
    }
    admin.change_log(move |settings| settings.outputs.clone_from(&outputs)).await
}

impl Admin {
    async fn change_log(&self, change: impl Fn(&mut Settings) + Send + 'static) -> Result<()> {
        let log = self.log.clone();
        off_thread(move || log.change(change)).await.unwrap_or_else(|| {
            Err(Error::new(ErrorCode::OperationTimeout, "the log's outputs do not open in time")
                .hint("the file system of a log file may hang, or nobody reads a pipe"))
        })
    }
}

fn joined<T: ToString>(all: &[T]) -> (String, u32) {
    let text = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    (text, u32::try_from(all.len()).unwrap_or(u32::MAX))
}
