//! How busy each unit was over a run.

use serde::Serialize;

use super::Machine;
use super::core::State;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub done: bool,
    pub cycles: u64,
    pub blocks_done: usize,
    pub cores: Vec<CoreReport>,
    pub program: ControllerReport,
    pub data: ControllerReport,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CoreReport {
    pub instructions: u64,
    /// Share of the cycles in each state of the scheduler, in the order of [`State::ALL`].
    pub states: Vec<(&'static str, f64)>,
    /// Share of the lane-cycles with a request to memory under way.
    pub lsu_busy: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ControllerReport {
    pub channels: usize,
    pub requests: u64,
    /// Share of the channel-cycles that were not idle.
    pub busy: f64,
}

impl Report {
    /// Of all cycles so far.
    pub fn of(machine: &Machine) -> Self {
        let edges = machine.edges().max(1) as f64;
        let controller = |controller: &super::controller::Controller| ControllerReport {
            channels: controller.channels.len(),
            requests: controller.taken,
            busy: controller.busy as f64 / (edges * controller.channels.len() as f64),
        };
        let cores = machine.cores().iter().map(|core| CoreReport {
            instructions: core.instructions,
            states: State::ALL
                .map(|state| (state.name(), core.cycles[state as usize] as f64 / edges))
                .to_vec(),
            lsu_busy: core.lsu_busy as f64 / (edges * core.lanes.len() as f64),
        });
        Self {
            done: machine.is_done(),
            cycles: machine.cycles(),
            blocks_done: machine.dispatcher().blocks_done,
            cores: cores.collect(),
            program: controller(machine.program_controller()),
            data: controller(machine.data_controller()),
        }
    }
}
