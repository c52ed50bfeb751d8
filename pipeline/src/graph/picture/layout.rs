//! Where stages and links lie in a picture: layers from left to right, few crossings. Not how they look.

pub(super) const NODE_HEIGHT: f64 = 46.0;
/// Between the middles of two stages of a layer.
const ROW: f64 = 76.0;
const MARGIN: f64 = 24.0;
/// How far below everything else a link leads that closes a cycle.
const BELOW: f64 = 34.0;

pub(super) struct Size {
    pub width: f64,
}

/// The middle of a stage, and its width.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub x: f64,
    pub y: f64,
    pub width: f64,
}

pub(super) struct Route {
    /// For the attribute `d` of a path.
    pub path: String,
    pub label_x: f64,
    pub label_y: f64,
    /// Where the label is.
    pub is_straight: bool,
}

pub(super) struct Layout {
    pub width: f64,
    pub height: f64,
    pub nodes: Vec<Place>,
    pub routes: Vec<Route>,
}

/// A stage, or a place where a link passes a layer.
struct Slot {
    layer: usize,
    row: f64,
    width: f64,
}

/// `links` are (from, to, feedback); `gap` is the room between two layers.
pub(super) fn layout(sizes: &[Size], links: &[(usize, usize, bool)], gap: f64) -> Layout {
    let layers = layers(sizes.len(), links);
    let mut slots: Vec<Slot> = sizes
        .iter()
        .zip(&layers)
        .map(|(size, layer)| Slot {
            layer: *layer,
            row: 0.0,
            width: size.width,
        })
        .collect();
    // The slots that each link passes, its ends included.
    let ways: Vec<Vec<usize>> = links
        .iter()
        .map(|(from, to, feedback)| {
            let between = if *feedback { 0..0 } else { layers[*from] + 1..layers[*to] };
            let passed = between.map(|layer| {
                slots.push(Slot {
                    layer,
                    row: 0.0,
                    width: 0.0,
                });
                slots.len() - 1
            });
            let passed: Vec<usize> = passed.collect();
            std::iter::once(*from).chain(passed).chain([*to]).collect()
        })
        .collect();
    let n_layers = layers.iter().max().map_or(0, |last| last + 1);
    arrange(&mut slots, &ways, n_layers);
    place(&slots, &ways, links, n_layers, gap, sizes.len())
}

/// The layer of each stage: one more than that of the last stage that it reads.
fn layers(n_nodes: usize, links: &[(usize, usize, bool)]) -> Vec<usize> {
    let mut layers = vec![0; n_nodes];
    // Without feedback there is no cycle, so this settles after as many rounds as there are stages.
    for _ in 0..n_nodes {
        for (from, to, _) in links.iter().filter(|(_, _, feedback)| !feedback) {
            layers[*to] = layers[*to].max(layers[*from] + 1);
        }
    }
    layers
}

/// Orders each layer by the middle of its neighbours', there and back a few times.
fn arrange(slots: &mut [Slot], ways: &[Vec<usize>], n_layers: usize) {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); n_layers];
    for (index, slot) in slots.iter().enumerate() {
        members[slot.layer].push(index);
    }
    let steps: Vec<(usize, usize)> = ways.iter().flat_map(|way| way.windows(2).map(|w| (w[0], w[1]))).collect();
    spread(slots, &members);
    for round in 0..6 {
        let order: Vec<usize> = if round % 2 == 0 {
            (0..n_layers).collect()
        } else {
            (0..n_layers).rev().collect()
        };
        for layer in order {
            let mut rows: Vec<(f64, usize)> = members[layer]
                .iter()
                .map(|slot| (middle_of_neighbours(*slot, slots, &steps), *slot))
                .collect();
            rows.sort_by(|a, b| a.0.total_cmp(&b.0));
            members[layer] = rows.into_iter().map(|(_, slot)| slot).collect();
        }
        spread(slots, &members);
    }
}

fn middle_of_neighbours(slot: usize, slots: &[Slot], steps: &[(usize, usize)]) -> f64 {
    let mut rows = Vec::new();
    for (from, to) in steps {
        if *from == slot {
            rows.push(slots[*to].row);
        } else if *to == slot {
            rows.push(slots[*from].row);
        }
    }
    if rows.is_empty() {
        slots[slot].row
    } else {
        rows.iter().sum::<f64>() / rows.len() as f64
    }
}

/// Rows of a layer around 0, one apart.
fn spread(slots: &mut [Slot], members: &[Vec<usize>]) {
    for layer in members {
        let middle = (layer.len().max(1) - 1) as f64 / 2.0;
        for (index, slot) in layer.iter().enumerate() {
            slots[*slot].row = index as f64 - middle;
        }
    }
}

fn place(
    slots: &[Slot],
    ways: &[Vec<usize>],
    links: &[(usize, usize, bool)],
    n_layers: usize,
    gap: f64,
    n_nodes: usize,
) -> Layout {
    let widths: Vec<f64> = (0..n_layers)
        .map(|layer| {
            slots
                .iter()
                .filter(|slot| slot.layer == layer)
                .map(|slot| slot.width)
                .fold(0.0, f64::max)
        })
        .collect();
    let lowest = slots.iter().map(|slot| slot.row).fold(0.0, f64::min);
    let highest = slots.iter().map(|slot| slot.row).fold(0.0, f64::max);
    let x_of = |layer: usize| MARGIN + widths[..layer].iter().sum::<f64>() + gap * layer as f64 + widths[layer] / 2.0;
    let places: Vec<Place> = slots
        .iter()
        .map(|slot| Place {
            x: x_of(slot.layer),
            y: MARGIN + NODE_HEIGHT / 2.0 + (slot.row - lowest) * ROW,
            width: slot.width,
        })
        .collect();
    let bottom = MARGIN + NODE_HEIGHT + (highest - lowest) * ROW;
    let mut n_below = 0;
    let routes = ways.iter().zip(links).map(|(way, (_, _, feedback))| {
        let ends: Vec<Place> = way.iter().map(|slot| places[*slot]).collect();
        if *feedback {
            n_below += 1;
            route_below(&ends, bottom + BELOW * f64::from(n_below))
        } else {
            route(&ends)
        }
    });
    let routes: Vec<Route> = routes.collect();
    let width = widths.iter().sum::<f64>() + gap * n_layers.saturating_sub(1) as f64 + 2.0 * MARGIN;
    let height = bottom + MARGIN + BELOW * f64::from(n_below);
    Layout {
        width,
        height,
        nodes: places[..n_nodes].to_vec(),
        routes,
    }
}

/// Curves from slot to slot; the label stands on the last one.
fn route(way: &[Place]) -> Route {
    let mut path = String::new();
    let (mut label_x, mut label_y, mut is_straight) = (0.0, 0.0, true);
    for (from, to) in way.iter().zip(&way[1..]) {
        let (x0, x1) = (from.x + from.width / 2.0, to.x - to.width / 2.0);
        let middle = (x0 + x1) / 2.0;
        let begin = if path.is_empty() { 'M' } else { 'L' };
        path.push_str(&format!(
            "{begin}{x0:.1} {:.1}C{middle:.1} {:.1} {middle:.1} {:.1} {x1:.1} {:.1}",
            from.y, from.y, to.y, to.y
        ));
        (label_x, label_y) = (middle, (from.y + to.y) / 2.0);
        is_straight = (from.y - to.y).abs() < 1.0;
    }
    Route {
        path,
        label_x,
        label_y,
        is_straight,
    }
}

/// Back to the left, under everything.
fn route_below(way: &[Place], y: f64) -> Route {
    let (Some(from), Some(to)) = (way.first(), way.last()) else {
        return Route {
            path: String::new(),
            label_x: 0.0,
            label_y: 0.0,
            is_straight: true,
        };
    };
    let (y0, y1) = (from.y + NODE_HEIGHT / 2.0, to.y + NODE_HEIGHT / 2.0);
    let path = format!(
        "M{:.1} {y0:.1}C{:.1} {y:.1} {:.1} {y:.1} {:.1} {y:.1}L{:.1} {y:.1}C{:.1} {y:.1} {:.1} {y:.1} {:.1} {y1:.1}",
        from.x,
        from.x,
        from.x,
        from.x - 30.0,
        to.x + 30.0,
        to.x,
        to.x,
        to.x
    );
    Route {
        path,
        label_x: (from.x + to.x) / 2.0,
        label_y: y,
        is_straight: true,
    }
}
