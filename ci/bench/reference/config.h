/* The reference's sources want a configuration; what is measured of them needs nothing from it. */
