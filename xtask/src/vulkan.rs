//! Whether a Vulkan adapter can be expected: the loader, and a driver that has something to drive.
//!
//! It reads folders and starts nothing; what an adapter really can do is what `qwglm doctor` says.

use std::path::{Path, PathBuf};

use crate::process;

/// What is missing for a Vulkan adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    pub loader: bool,
    pub driver: bool,
}

/// Looks at this machine.
pub fn missing() -> Missing {
    Missing {
        loader: !has_loader(),
        driver: !has_driver(&manifests(&manifest_folders()), has_device()),
    }
}

/// A driver counts if it draws in software, or if there is a device that it could drive: Debian's one package puts
/// the manifests of Intel and AMD on machines that have neither.
fn has_driver(manifests: &[String], has_device: bool) -> bool {
    let is_software = |name: &String| name.starts_with("lvp_") || name.contains("swiftshader");
    manifests.iter().any(is_software) || (has_device && !manifests.is_empty())
}

/// Whether there is a GPU: a node that a driver of Linux made for one.
pub fn has_device() -> bool {
    let entries = std::fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    let is_render_node = |name: std::ffi::OsString| name.to_string_lossy().starts_with("renderD");
    entries.map(|entry| entry.file_name()).any(is_render_node) || Path::new("/dev/nvidiactl").exists()
}

fn has_loader() -> bool {
    let library = "libvulkan.so.1";
    let ldconfig = process::find("ldconfig").unwrap_or_else(|| "/sbin/ldconfig".into());
    let listed = process::output(std::process::Command::new(ldconfig).arg("-p"));
    if listed.is_some_and(|text| text.contains(library)) {
        return true;
    }
    let set = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    std::env::split_paths(&set).any(|folder| folder.join(library).exists())
}

/// Where the loader looks. Source: Khronos, "Vulkan loader: driver interface", section "Linux driver discovery".
fn manifest_folders() -> Vec<PathBuf> {
    let system = ["/etc/xdg", "/etc", "/usr/local/etc", "/usr/local/share", "/usr/share"];
    let mut folders: Vec<PathBuf> = system.iter().map(PathBuf::from).collect();
    for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_DATA_DIRS", "XDG_CONFIG_DIRS"] {
        folders.extend(std::env::split_paths(&std::env::var_os(name).unwrap_or_default()));
    }
    if let Some(home) = std::env::var_os("HOME") {
        folders.push(Path::new(&home).join(".local/share"));
    }
    folders.into_iter().map(|folder| folder.join("vulkan/icd.d")).collect()
}

/// The names of the driver manifests: those that the environment names, or all in `folders`.
fn manifests(folders: &[PathBuf]) -> Vec<String> {
    let name_of = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let is_manifest = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        if let Some(set) = std::env::var_os(variable) {
            let named = std::env::split_paths(&set).filter(|path| path.is_file());
            return named.filter_map(name_of).collect();
        }
    }
    let entries = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    entries
        .map(|entry| entry.path())
        .filter(is_manifest)
        .filter_map(name_of)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_needs_a_device_unless_it_is_software() {
        let intel = ["intel_icd.x86_64.json".to_owned()];
        let lavapipe = ["intel_icd.x86_64.json".to_owned(), "lvp_icd.x86_64.json".to_owned()];
        let cases: [(&[String], bool, bool); 5] = [
            (&[], false, false),
            (&[], true, false),
            (&intel, false, false),
            (&intel, true, true),
            (&lavapipe, false, true),
        ];
        for (manifests, has_device, expected) in cases {
            assert_eq!(
                has_driver(manifests, has_device),
                expected,
                "{manifests:?}, device {has_device}"
            );
        }
    }
}
