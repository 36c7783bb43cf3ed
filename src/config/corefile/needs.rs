//! What directives need of others in their server block.

use super::CorefileError;
use super::lower::error_at;
use super::parse::Block;
use crate::config::ServerBlock;
use crate::config::directive::{Autopath, Directive, K8sExternal, Kubernetes, PodMode, Search};

/// Tells what is not there.
pub fn unmet_needs(
    block: &Block,
    server: &ServerBlock,
    warnings: &mut Vec<CorefileError>,
    errors: &mut Vec<CorefileError>,
) {
    let place = |name: &str| {
        let directive = block.directives.iter().find(|directive| directive.name == name)?;
        directive.tokens.first()
    };
    if let (Some(token), None) = (place(K8sExternal::REFERENCE.name), place(Kubernetes::REFERENCE.name)) {
        let what =
            "k8s_external: needs `kubernetes` in the same server block; add it, as in `kubernetes cluster.local`";
        errors.push(error_at(token, what.to_owned()));
    }
    let asks_pods = server.autopath.as_ref().is_some_and(|autopath| autopath.search == Search::Kubernetes);
    let knows_pods = server.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.pods == PodMode::Verified);
    if let Some(token) = place(Autopath::REFERENCE.name).filter(|_| asks_pods && !knows_pods) {
        let what =
            "autopath: has no effect: @kubernetes needs `kubernetes` with `pods verified` in the same server block";
        warnings.push(error_at(token, what.to_owned()));
    }
}
