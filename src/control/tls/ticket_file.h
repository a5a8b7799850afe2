/* The keys of session tickets in a file, so that clients resume their sessions after a restart, and at other nodes that
 * have the same file. One thread at a time; blocks on the disk. */
#ifndef CONTROL_TICKET_FILE_H
#define CONTROL_TICKET_FILE_H

#include "control/tls/file_stamps.h"
#include "tls/tickets.h"

struct ticket_file {
	const char *path; /* "": there is none, and the keys end with the process */
	struct file_stamps stamps;
	bool is_broken; /* it could not be written, and the log says so once */
};

/* Loads the keys, or makes the file. A file that has none, or none of ours, is replaced, after a line in the log; one
 * that cannot be read is fatal: false, after a line in the log. */
bool ticket_file_open(struct ticket_file *file, const char *path, struct tls_tickets *tickets, int64_t wall_s);
void ticket_file_close(struct ticket_file *file);
/* Takes up what another node has written, rotates the keys where that is due, and writes them if they changed. */
void ticket_file_turn(struct ticket_file *file, struct tls_tickets *tickets, int64_t wall_s);

#endif
