#include "control/tls/ticket_file.h"

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void ticket_file_note(struct ticket_file *file)
{
	file_stamps_clear(&file->stamps);
	file_stamps_note(&file->stamps, file->path);
}

static void ticket_file_save(struct ticket_file *file, struct tls_tickets *tickets)
{
	uint8_t bytes[TLS_TICKETS_FILE_BYTES_MAX];
	size_t size = tls_tickets_save(tickets, bytes);
	CHECK_LE(size, sizeof(bytes));
	const char *why = file_replace(file->path, slice_of(bytes, size), FILE_SECRET);
	explicit_bzero(bytes, sizeof(bytes));
	if (why != NULL && !file->is_broken)
		log_write(LOG_ERROR, "%s: %s: clients cannot resume their TLS sessions after a restart", file->path,
			  why);
	file->is_broken = why != NULL;
	ticket_file_note(file);
}

/* False: it cannot be read. */
static bool ticket_file_load(struct ticket_file *file, struct tls_tickets *tickets, int64_t wall_s, bool *loaded)
{
	uint8_t *data;
	size_t size;
	ticket_file_note(file);
	const char *why = file_read(file->path, TLS_TICKETS_FILE_BYTES_MAX, FILE_SECRET, &data, &size);
	if (why != NULL) {
		log_write(LOG_ERROR, "%s: %s", file->path, why);
		return false;
	}
	enum error error = tls_tickets_load(tickets, slice_of(data, size), wall_s);
	explicit_bzero(data, size);
	free(data);
	*loaded = error == ERROR_OK;
	if (error == ERROR_TIMEOUT)
		log_write(LOG_INFO, "%s: its keys are too old for any ticket", file->path);
	else if (error != ERROR_OK)
		log_write(LOG_WARNING, "%s: it does not have keys of tickets, or is damaged: it is replaced",
			  file->path);
	return true;
}

bool ticket_file_open(struct ticket_file *file, const char *path, struct tls_tickets *tickets, int64_t wall_s)
{
	*file = (struct ticket_file){.path = path};
	if (path[0] == '\0')
		return true;
	bool loaded = false;
	if (access(path, F_OK) == 0 && !ticket_file_load(file, tickets, wall_s, &loaded))
		return false;
	if (tls_tickets_rotate(tickets, wall_s) || !loaded)
		ticket_file_save(file, tickets);
	return true;
}

void ticket_file_close(struct ticket_file *file)
{
	file_stamps_clear(&file->stamps);
}

void ticket_file_turn(struct ticket_file *file, struct tls_tickets *tickets, int64_t wall_s)
{
	bool kept = file->path[0] != '\0';
	bool changed = kept && file_stamps_changed(&file->stamps) != NULL;
	bool loaded = false;
	bool is_useless = changed && (access(file->path, F_OK) != 0 ||
				      (ticket_file_load(file, tickets, wall_s, &loaded) && !loaded));
	bool rotated = tls_tickets_rotate(tickets, wall_s);
	if (kept && (rotated || is_useless))
		ticket_file_save(file, tickets);
}
