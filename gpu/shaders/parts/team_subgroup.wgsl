// Sums and maxima over neighbouring lanes, by subgroups of LANES. The kernel declares `LANES` and `TEAMS`; its workgroup
// has TEAMS subgroups. All lanes call these, in uniform control flow.
// needs  subgroups
var<workgroup> team_values: array<vec4<f32>, TEAMS>;

// Over the lanes of `teams` neighbouring teams, which divides TEAMS.
fn near_sum(lane: u32, value: vec4<f32>, teams: u32) -> vec4<f32> {
    var sum = subgroupAdd(value);
    if teams > 1u {
        workgroupBarrier(); // the last call's values have been read
        if lane % LANES == 0u {
            team_values[lane / LANES] = sum;
        }
        workgroupBarrier();
        let first = lane / (LANES * teams) * teams;
        sum = team_values[first];
        for (var i = 1u; i < teams; i++) {
            sum += team_values[first + i];
        }
    }
    return sum;
}

// As `near_sum`.
fn near_max(lane: u32, value: vec4<f32>, teams: u32) -> vec4<f32> {
    var top = subgroupMax(value);
    if teams > 1u {
        workgroupBarrier();
        if lane % LANES == 0u {
            team_values[lane / LANES] = top;
        }
        workgroupBarrier();
        let first = lane / (LANES * teams) * teams;
        top = team_values[first];
        for (var i = 1u; i < teams; i++) {
            top = max(top, team_values[first + i]);
        }
    }
    return top;
}
