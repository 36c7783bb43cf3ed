//! `fallthrough [ZONE...]`, an option of several directives.

use crate::config::corefile::{CorefileError, Cursor};

use crate::dns::Name;

/// For which names a name error is passed on to the next plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallthrough {
    /// None: no name. Some: names below these zones; the root zone means every name.
    pub zones: Option<Vec<Name>>,
}

impl Fallthrough {
    /// Whether a name error for this name is passed on.
    pub fn covers(&self, name: &Name) -> bool {
        self.zones.as_ref().is_some_and(|zones| zones.iter().any(|zone| zone.zone_of(name)))
    }
}

impl Fallthrough {
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
        Ok(Self { zones: Some(zones) })
    }
}
