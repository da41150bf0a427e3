/* A library that another one needs. */
int sapucumIsThere(void) { return 1; }
