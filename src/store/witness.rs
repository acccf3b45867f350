//! The witness of a database file: lies beside it, keeps other processes off it, and remembers how far the file had come.
//!
//! Whoever puts an older file in the place of the database leaves its witness as it is. It is written after the commit and
//! not forced to the disk, so it never tells of more than the file holds.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::ChangePosition;
use crate::store::Place;

/// The file beside the database, locked for as long as this lives.
pub(super) struct Witness(Mutex<Inner>);

struct Inner {
    file: File,
    /// Nothing before a generation began.
    here: Option<Place>,
    is_broken: bool,
}

impl Witness {
    /// Over a file that is locked.
    pub(super) fn over(file: File) -> Self {
        Self(Mutex::new(Inner { file, here: None, is_broken: false }))
    }

    /// How far the database had come when it was served last.
    pub(super) fn last(&self) -> Option<Place> {
        let Inner { file, .. } = &mut *self.inner();
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).ok()?;
        file.read_to_string(&mut text).ok()?;
        let (generation, position) = text.trim_end().split_once(' ')?;
        Some(Place {
            generation: Some(generation.parse().ok()?),
            position: ChangePosition(position.trim_start().parse().ok()?),
        })
    }

    /// From now on the database is served from that place on.
    pub(super) fn follow(&self, here: Place) {
        let mut inner = self.inner();
        inner.here = Some(here);
        inner.write();
    }

    /// A change was committed.
    pub(super) fn note(&self, position: ChangePosition) {
        let mut inner = self.inner();
        let Some(here) = &mut inner.here else { return };
        here.position = position;
        inner.write();
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self) {
        let Some(Place { generation: Some(generation), position }) = self.here else { return };
        // Of one length, so that one write replaces it.
        let text = format!("{generation} {position:>20}\n");
        let written = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(text.as_bytes()));
        // A full disk: the last that was written stays true. Said once, and not with every change.
        if let Err(error) = &written
            && !self.is_broken
        {
            tracing::warn!(error = %error, "the file beside the database cannot be written: a restored database may not be noticed");
        }
        self.is_broken = written.is_err();
    }
}
