// Keys and values as they are, of f16.
// parts  places_dense, raw_keys_f16
