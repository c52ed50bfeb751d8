// Keys and values of a cache of f32.
// parts  places_paged, keys_whole
