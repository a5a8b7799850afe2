/* What an option is made of. Only options.c and option_value.c look into it. */
#ifndef DAEMON_OPTION_SPEC_H
#define DAEMON_OPTION_SPEC_H

#include <stddef.h>
#include <stdint.h>

#define OPTION_DEFAULT_LISTENER "tcp://127.0.0.1:1883"

enum option_kind {
	OPTION_NUMBER,  /* uint32_t, from `least` to `most` */
	OPTION_BOOL,    /* bool; a switch on the command line: --name, --no-name */
	OPTION_TEXT,    /* char[most]: at most `most` - 1 bytes */
	OPTION_PATH,    /* the same, the name of a file */
	OPTION_CHOICE,  /* bool or an enum of `most` bytes: the index in `words` */
	OPTION_NETWORK, /* struct networks; may be given several times */
	OPTION_LISTEN,  /* settings.listeners; may be given several times */
	OPTION_ADMIN,   /* admin.url */
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

#endif
