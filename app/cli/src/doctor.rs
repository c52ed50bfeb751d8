//! `qwglm doctor`.

use anyhow::Result;

use crate::args::DoctorArgs;

pub async fn doctor(_args: &DoctorArgs) -> Result<()> {
    Ok(())
}
