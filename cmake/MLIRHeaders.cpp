// The translation unit of the precompiled headers.
