// Keys and values as they are, of f32.
// parts  places_dense, raw_keys_f32
