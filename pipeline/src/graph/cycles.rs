//! Cycles and ways in a graph of links. Not what they mean for a run (`check.rs`).

/// For each stage the links that leave it, as indices into `links`.
fn leaving(n_stages: usize, links: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut leaving = vec![Vec::new(); n_stages];
    for (index, (from, _)) in links.iter().enumerate() {
        leaving[*from].push(index);
    }
    leaving
}

/// Whether there is a way from one of `starts` to each stage.
pub(super) fn reachable(n_stages: usize, links: &[(usize, usize)], starts: &[usize]) -> Vec<bool> {
    let leaving = leaving(n_stages, links);
    let mut reached = vec![false; n_stages];
    let mut left: Vec<usize> = starts.to_vec();
    while let Some(stage) = left.pop() {
        if !std::mem::replace(&mut reached[stage], true) {
            left.extend(leaving[stage].iter().map(|link| links[*link].1));
        }
    }
    reached
}

/// The links that a walk from `sources` finds to lead back to where it came from. Without them there is no cycle, and every
/// stage that a source reaches is still reached.
pub(super) fn feedback(n_stages: usize, links: &[(usize, usize)], sources: &[usize]) -> Vec<usize> {
    walk(n_stages, links, sources).into_iter().map(|(link, _)| link).collect()
}

/// One cycle for each link that closes one, as the stages on it in order.
pub(super) fn cycles(n_stages: usize, links: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..n_stages).collect();
    walk(n_stages, links, &all).into_iter().map(|(_, cycle)| cycle).collect()
}

/// Walks depth first, without recursion: a configuration may be long. Gives each link back to a stage on the walk's own way,
/// with the way between.
fn walk(n_stages: usize, links: &[(usize, usize)], starts: &[usize]) -> Vec<(usize, Vec<usize>)> {
    let leaving = leaving(n_stages, links);
    let mut seen = vec![false; n_stages];
    let mut found = Vec::new();
    for start in starts {
        if std::mem::replace(&mut seen[*start], true) {
            continue;
        }
        // The way from the start: each stage, and how many of its links have been walked.
        let mut way = vec![(*start, 0)];
        while let Some((stage, walked)) = way.last_mut() {
            let Some(link) = leaving[*stage].get(*walked).copied() else {
                way.pop();
                continue;
            };
            *walked += 1;
            let to = links[link].1;
            if let Some(at) = way.iter().position(|(stage, _)| *stage == to) {
                found.push((link, way[at..].iter().map(|(stage, _)| *stage).collect()));
            } else if !std::mem::replace(&mut seen[to], true) {
                way.push((to, 0));
            }
        }
    }
    found
}
