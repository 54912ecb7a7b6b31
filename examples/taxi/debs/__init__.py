"""The DEBS 2015 Grand Challenge: frequent routes and profitable areas, trip by trip. See README.md."""
