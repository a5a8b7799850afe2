/* What an option is made of. Only the files beside this one look into it. */
#ifndef DAEMON_OPTION_SPEC_H
#define DAEMON_OPTION_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPTION_DEFAULT_LISTENER "tcp://127.0.0.1:1883"

#define OPTION_FAULT_BYTES_MAX 256

enum option_kind {
	OPTION_NUMBER,    /* uint32_t, from `least` to `most` */
	OPTION_BYTES,     /* uint64_t, 0 or from `least` to `most` MiB */
	OPTION_BOOL,      /* bool; a switch on the command line: --name, --no-name */
	OPTION_TEXT,      /* char[most]: at most `most` - 1 bytes */
	OPTION_PATH,      /* the same, the name of a file */
	OPTION_DIRECTORY, /* the same, the name of a directory */
	OPTION_CHOICE,    /* bool or an enum of `most` bytes: `least` and the index in `words` */
	OPTION_NETWORK,   /* struct networks; may be given several times */
	OPTION_LISTEN,    /* settings.listeners; may be given several times */
	OPTION_ADMIN,     /* admin.url */
	/* Of listeners alone. All but OPTION_MODE have the whole struct listener_settings for their field. */
	OPTION_CERTIFICATE, /* certificates[].chain; may be given several times */
	OPTION_KEY,         /* certificates[].key; likewise */
	OPTION_ORIGIN,      /* origins; likewise */
	OPTION_PROXY,       /* proxies; likewise */
	OPTION_MODE,        /* uint32_t: permissions in octal, 0: the default */
	OPTION_OWNER,       /* owner, by name or number */
	OPTION_GROUP,       /* group, likewise */
	OPTION_KINDS,
};

struct option_spec {
	const char *name;
	enum option_kind kind;
	size_t offset; /* of the field in struct options */
	uint32_t least;
	uint32_t most;
	const char *const *words; /* of a choice, NULL at the end */
	const char *help;
};

/* ---- a value by itself: field is what lies at the option's offset ---- */

/* Sets the field from text. False: fault says what is wrong with it. */
bool option_value_set(const struct option_spec *spec, void *field, const char *text,
		      char fault[OPTION_FAULT_BYTES_MAX]);
/* Prints it as the configuration file has it. */
void option_value_print(const struct option_spec *spec, const void *field, FILE *out);
/* Whether it is "" or an empty list. */
bool option_value_is_empty(const struct option_spec *spec, const void *field);
void option_value_copy(const struct option_spec *spec, void *into, const void *from);

/* The same for the kinds that only listeners have. */
bool listener_value_set(const struct option_spec *spec, void *field, const char *text,
			char fault[OPTION_FAULT_BYTES_MAX]);
void listener_value_print(const struct option_spec *spec, const void *field, FILE *out);
bool listener_value_is_empty(const struct option_spec *spec, const void *field);
void listener_value_copy(const struct option_spec *spec, void *into, const void *from);

#endif
