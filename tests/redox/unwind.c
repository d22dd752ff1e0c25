/* The unwinder of a GCC whose C library is glibc asks for this; Redox's has none. "Not found" makes it look further. */
__attribute__((weak)) int _dl_find_object(void *address, void *result) { return -1; }
