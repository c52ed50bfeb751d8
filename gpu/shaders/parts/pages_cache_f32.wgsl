// Keys and values of a cache of f32.
// parts  places_paged, raw_keys_f32
