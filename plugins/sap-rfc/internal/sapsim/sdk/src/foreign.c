/* A library that has nothing to do with RFC. */
int nothing;
