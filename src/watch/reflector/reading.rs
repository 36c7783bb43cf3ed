//! The lines of a watch and the objects of a list: what becomes of each.

use std::time::SystemTime;

use serde_json::value::RawValue;
use tracing::debug;

use super::Reflector;
use super::end::End;
use super::message::{self, Event};
use crate::cluster::{Change, ObjectKey};
use crate::watch::convert::{self, Reading};
use crate::watch::object;

impl Reflector {
    /// Takes a line of a watch. What cannot be read is counted, and is no reason to end the watch.
    pub(super) async fn take_event(&mut self, line: &[u8]) -> Result<(), End> {
        let Ok(event) = serde_json::from_slice::<Event<'_>>(line) else {
            self.count_unreadable(1);
            debug!(resource = self.resource.plural(), "an event is none");
            return Ok(());
        };
        match &*event.event_type {
            "ADDED" | "MODIFIED" => {
                self.watched.told_objects(SystemTime::now());
                let Some(reading) = self.read(event.object).await else { return Ok(()) };
                let caused_at = reading.caused_at.filter(|_| !self.plan.is_listing());
                self.send(reading.into_change(self.resource), caused_at).await;
            }
            "DELETED" => {
                self.watched.told_objects(SystemTime::now());
                if let Some((key, version)) = self.read_key(event.object) {
                    self.unread.remove(&key);
                    self.comparison.gone(&key);
                    self.advance(&version);
                    self.send(Change::Removed(self.resource, key), None).await;
                }
            }
            "BOOKMARK" => return self.take_bookmark(event.object).await,
            "ERROR" => return Err(message::error(event.object)),
            _ => self.count_unreadable(1),
        }
        Ok(())
    }

    async fn take_bookmark(&mut self, object: &RawValue) -> Result<(), End> {
        self.watched.told_bookmark(SystemTime::now());
        let bookmark: object::Namespace = serde_json::from_str(object.get()).unwrap_or_default();
        let metadata = bookmark.metadata;
        if self.plan.is_listing() && metadata.annotations.initial_events_end == "true" {
            self.end_list(metadata.resource_version.clone()).await?;
        }
        self.advance(&metadata.resource_version);
        Ok(())
    }

    /// Reads an object that is there. One that cannot be understood is counted and named, and what is known of it stays as it
    /// is.
    pub(super) async fn read(&mut self, object: &RawValue) -> Option<Reading> {
        match convert::read(self.resource, &mut serde_json::Deserializer::from_str(object.get())) {
            Ok(reading) => {
                self.count_unreadable(reading.skipped);
                match reading.misfit {
                    Some(field) => self.tell_unread(&reading.key, &format!("{field} is of a wrong type")),
                    None => self.unread.remove(&reading.key),
                }
                self.comparison.there(&reading.key, &reading.resource_version);
                self.advance(&reading.resource_version);
                Some(reading)
            }
            Err(error) => {
                let (key, version) = self.read_key(object)?;
                self.tell_unread(&key, &error.to_string());
                self.comparison.there(&key, &version);
                self.advance(&version);
                self.send(Change::Unfit(self.resource, key, None), None).await;
                None
            }
        }
    }

    /// Which object it is, and its version. One that has no name is counted, and nobody can say what is known of it.
    fn read_key(&self, object: &RawValue) -> Option<(ObjectKey, String)> {
        let found = convert::read_key(self.resource, &mut serde_json::Deserializer::from_str(object.get()));
        if found.is_none() {
            self.count_unreadable(1);
            debug!(resource = self.resource.plural(), "an object has no name");
        }
        found
    }
}
