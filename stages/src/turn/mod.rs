//! Whose turn it is: when the user has finished, and whether new speech interrupts the program.

pub mod detect;
pub mod floor;
pub mod words;

use pipeline::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    detect::register(registry);
}
