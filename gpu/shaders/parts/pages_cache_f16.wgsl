// Keys and values of a cache of f16.
// parts  places_paged, raw_keys_f16
