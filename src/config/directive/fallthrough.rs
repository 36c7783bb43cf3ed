//! `fallthrough [ZONE...]`, an option of several directives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::Opt;
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{Expanded, Text};
use crate::dns::Name;

/// For which names a name error is passed on to the next plugin.
#[serde_as]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Fallthrough {
    /// None: no name. Some: names below these zones; the root zone means every name.
    #[serde_as(as = "Option<Expanded>", no_default)]
    pub zones: Option<Vec<Name>>,
}

impl Fallthrough {
    /// The option, for a [`super::Reference`].
    pub const OPTION: Opt = Opt {
        syntax: "fallthrough [ZONES...]",
        meaning: "names that do not exist go to the next plugin: all, or those in these zones",
        default: "",
    };

    /// Writes the option.
    pub fn write(&self, corefile: &mut Writer) {
        // A line without zones would mean all names.
        if let Some(zones) = self.zones.as_ref().filter(|zones| !zones.is_empty()) {
            corefile.line(std::iter::once("fallthrough".to_owned()).chain(zones.iter().map(Text::text)));
        }
    }

    /// Whether a name error for this name is passed on.
    pub fn covers(&self, name: &Name) -> bool {
        self.zones.as_ref().is_some_and(|zones| zones.iter().any(|zone| zone.zone_of(name)))
    }

    /// Reads the option's zones; none means every name. `served` are the zones of the directive: one that has no name in
    /// common with them is a slip of the pen.
    pub fn lower(cursor: &mut Cursor<'_>, served: &[Name]) -> Result<Self, CorefileError> {
        let arguments = cursor.arguments();
        if arguments.is_empty() {
            return Ok(Self { zones: Some(vec![Name::root()]) });
        }
        let zones = cursor.zones(&arguments);
        for zone in &zones {
            if !served.iter().any(|served| served.zone_of(zone) || zone.zone_of(served)) {
                cursor.warn(format!("fallthrough {zone} has no effect: this directive serves no name in it"));
            }
        }
        // Without any zone that is one, no name falls through; a warning says so.
        Ok(Self { zones: Some(zones).filter(|zones| !zones.is_empty()) })
    }
}
