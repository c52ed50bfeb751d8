// Sums and maxima over neighbouring lanes, through workgroup memory. The kernel declares `LANES` and `TEAMS`, powers of
// two; its workgroup has LANES · TEAMS lanes. All lanes call these, in uniform control flow.
var<workgroup> team_values: array<vec4<f32>, LANES * TEAMS>;

// Over the lanes of `teams` neighbouring teams, which divides TEAMS.
fn near_sum(lane: u32, value: vec4<f32>, teams: u32) -> vec4<f32> {
    let place = lane % (LANES * teams);
    workgroupBarrier(); // the last call's values have been read
    team_values[lane] = value;
    for (var width = LANES * teams / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if place < width {
            team_values[lane] += team_values[lane + width];
        }
    }
    workgroupBarrier();
    return team_values[lane - place];
}

// As `near_sum`.
fn near_max(lane: u32, value: vec4<f32>, teams: u32) -> vec4<f32> {
    let place = lane % (LANES * teams);
    workgroupBarrier();
    team_values[lane] = value;
    for (var width = LANES * teams / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if place < width {
            team_values[lane] = max(team_values[lane], team_values[lane + width]);
        }
    }
    workgroupBarrier();
    return team_values[lane - place];
}
