// Grids over 65,535 workgroups fold into y.
fn workgroup_index(id: vec3<u32>) -> u32 {
    return id.y * 65535u + id.x;
}
