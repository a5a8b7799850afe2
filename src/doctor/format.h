/* Figures as people read them. out holds FORMAT_BYTES and is returned. Pure; any thread. */
#ifndef DOCTOR_FORMAT_H
#define DOCTOR_FORMAT_H

#include <stdint.h>

#define FORMAT_BYTES 48u

/* 1,234,567 */
const char *format_count(uint64_t value, char *out);
/* 3.2 GiB */
const char *format_bytes(double bytes, char *out);
/* 12.3, with as many decimals; "n/a" for NAN. */
const char *format_number(double value, int decimals, char *out);

#endif
