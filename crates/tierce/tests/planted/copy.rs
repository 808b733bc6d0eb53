//! The copy of the sources in which faults are planted.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::list::Fault;

/// What a build leaves, in every folder of the copy and of the original.
const BUILT: [&str; 4] = ["target", "__pycache__", "so", "pyd"];

pub(crate) struct Copy {
    /// Where the copy is, what is built of it and what its tests said.
    pub(crate) place: PathBuf,
    pub(crate) tree: PathBuf,
}

/// A fault in the copy, which is taken out again when this is dropped.
pub(crate) struct Planted {
    file: PathBuf,
    text: String,
}

impl Copy {
    /// Makes the copy what the original is now. Only what differs is written: cargo builds what is newer than its last build.
    pub(crate) fn of(original: &Path, place: &Path) -> io::Result<Self> {
        let tree = place.join("tree");
        fs::create_dir_all(&tree)?;
        fs::create_dir_all(place.join("logs"))?;
        let (wanted, there) = (files(original)?, files(&tree)?);
        for file in there.difference(&wanted) {
            fs::remove_file(tree.join(file))?;
        }
        for file in &wanted {
            let (bytes, to) = (fs::read(original.join(file))?, tree.join(file));
            if fs::read(&to).ok().as_ref() == Some(&bytes) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(to, bytes)?;
        }
        Ok(Copy { place: place.to_owned(), tree })
    }

    pub(crate) fn plant(&self, fault: &Fault) -> Result<Planted, String> {
        let file = self.tree.join(&fault.file);
        let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let planted = fault.plant(&text).map_err(|times| format!("what is to be changed is there {times} times"))?;
        fs::write(&file, planted).map_err(|error| error.to_string())?;
        Ok(Planted { file, text })
    }

    /// Where it is said what came of a fault.
    pub(crate) fn log(&self, name: &str, what: &str) -> PathBuf {
        self.place.join("logs").join(format!("{name}-{what}.log"))
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        fs::write(&self.file, &self.text).expect("the copy is ours, and was written a moment ago");
    }
}

/// All files of a tree but hidden ones and what was built.
fn files(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let last = name.rsplit('.').next().unwrap_or(&name);
            if name.starts_with('.') || BUILT.contains(&last) {
                continue;
            }
            let path = folder.join(&name);
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(path),
                kind if kind.is_file() => _ = files.insert(path),
                _ => {}
            }
        }
    }
    Ok(files)
}
