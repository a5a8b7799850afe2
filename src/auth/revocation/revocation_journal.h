/* The format of the journal of revocations: one line each, appended as they come; the last line of an id counts.
 *
 *     CHECKSUM KIND UNTIL ID\n
 *
 * - CHECKSUM: 16 hexadecimal digits: SipHash-2-4, under a key of zeroes, of the rest of the line after the blank
 * - KIND: token, user or client
 * - UNTIL: seconds since 1970; "ever": without an end; "lifted": no longer in force
 * - ID: up to the end of the line; bytes below 0x21, 0x7F and '%' are written as %XX
 *
 * A line that begins with '#' is a comment. Bytes in, bytes out; any thread. */
#ifndef AUTH_REVOCATION_JOURNAL_H
#define AUTH_REVOCATION_JOURNAL_H

#include "auth/revocation/revocation.h"

/* 16 digits, the longest kind, the longest number, three blanks and the line's end. */
#define REVOCATION_LINE_BYTES_MAX(id_bytes) (16u + 6u + 20u + 4u + 3u * (id_bytes))
/* As until_s: written as "lifted". */
#define REVOCATION_LIFTED_S 0

/* Writes a line to out, which holds REVOCATION_LINE_BYTES_MAX(); returns its bytes. */
size_t revocation_line_write(const struct revocation *revocation, char *out);

/* Reads a line (without its end). The id is written to out, which holds as many bytes as the line. False: damaged. */
bool revocation_line_read(struct slice line, uint8_t *out, struct revocation *revocation);

struct journal_result {
	uint64_t lines;              /* that were read, comments apart */
	uint32_t damaged;            /* lines that could not be read although good ones follow */
	uint32_t first_damaged_line; /* from 1 */
	size_t good_bytes;           /* what follows them is torn: a write that was not finished */
	bool full;                   /* the table's limit was reached */
};

/* Puts a journal's revocations in force. ERROR_NO_MEMORY leaves the table with some of them. */
enum error journal_replay(struct slice journal, int64_t now_s, struct revocations *revocations,
			  struct journal_result *result);

#endif
