/* `roost passwd`: adds, changes and deletes users of a password file, and leaves its other lines as they are. */
#include "tool/tool.h"

#include "auth/password/password_file.h"
#include "auth/password/password_hash.h"
#include "auth/text/lines.h"
#include "tool/prompt.h"

#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char USAGE[] =
	"Usage: roost passwd FILE USER\n"
	"       roost passwd --delete FILE USER\n\n"
	"Adds a user to a password file, which is made where it is not there, or changes his password. The password "
	"is\n"
	"asked for on the terminal, or is the first line of stdin.\n\n"
	"      --delete   take the user out\n"
	"      --help\n\n"
	"The file has a line NAME:HASH for each user, the hash being argon2id; lines with hashes of mosquitto_passwd\n"
	"($7$) are good too. A server that runs reads it anew when it is told to.\n";

enum { OPTION_DELETE = 256, OPTION_HELP };

static const struct option OPTIONS[] = {
	{"delete", no_argument, NULL, OPTION_DELETE},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

struct passwd {
	const char *path;
	const char *user;
	bool remove;
	uint8_t *text; /* of the file as it was */
	size_t size;
};

static bool complain(const struct passwd *passwd, const char *fault)
{
	return tool_complain("passwd", passwd->path, fault);
}

/* As the server would read it: what it would refuse is not written on. */
static bool is_sound(const struct passwd *passwd)
{
	struct fault fault;
	struct password_file *file = password_file_new(slice_of(passwd->text, passwd->size), &fault);
	if (file == NULL && fault.line != 0)
		fprintf(stderr, "roost passwd: %s:%u: %s\n", passwd->path, fault.line, fault.text);
	else if (file == NULL)
		complain(passwd, fault.text);
	bool sound = file != NULL;
	password_file_put(&file);
	return sound;
}

static bool load(struct passwd *passwd)
{
	if (access(passwd->path, F_OK) != 0 && errno == ENOENT) {
		passwd->text = calloc(1, 1);
		return passwd->text != NULL || complain(passwd, "out of memory");
	}
	return tool_read("passwd", passwd->path, FILE_SECRET, &passwd->text, &passwd->size) && is_sound(passwd);
}

static bool is_users_line(const struct passwd *passwd, struct slice line)
{
	struct slice trimmed = slice_trim(line), user = slice_string(passwd->user);
	return trimmed.size > user.size && memcmp(trimmed.data, user.data, user.size) == 0 &&
	       trimmed.data[user.size] == ':';
}

/* Every line as it was but the user's, which becomes `entry` or goes; a new one goes to the end. *found: he was there.
 */
static bool edit(const struct passwd *passwd, const char *entry, FILE *out, bool *found)
{
	struct lines lines = {.rest = slice_of(passwd->text, passwd->size)};
	struct slice line;
	*found = false;
	while (lines_next(&lines, &line)) {
		if (!is_users_line(passwd, line)) {
			fwrite(line.data, 1, line.size, out);
			fputc('\n', out);
		} else {
			*found = true;
			fputs(entry, out);
		}
	}
	if (!*found)
		fputs(entry, out);
	return ferror(out) == 0;
}

static bool save(const struct passwd *passwd, const char *entry)
{
	char *text = NULL;
	size_t size = 0;
	bool found = false;
	FILE *out = open_memstream(&text, &size);
	bool edited = out != NULL && edit(passwd, entry, out, &found);
	if (out != NULL && fclose(out) != 0)
		edited = false;
	bool saved = false;
	if (!edited) {
		complain(passwd, "out of memory");
	} else if (passwd->remove && !found) {
		complain(passwd, "there is no such user in it");
	} else {
		const char *fault = file_replace(passwd->path, slice_of(text, size), FILE_SECRET);
		saved = fault == NULL || complain(passwd, fault);
	}
	free(text);
	return saved;
}

static bool make_entry(const struct passwd *passwd, char **entry)
{
	char password[PROMPT_BYTES_MAX], hash[PASSWORD_HASH_BYTES_MAX];
	*entry = NULL;
	const char *fault = prompt_password(password);
	if (fault == NULL && !password_hash(slice_string(password), hash))
		fault = "out of memory";
	if (fault == NULL && asprintf(entry, "%s:%s\n", passwd->user, hash) < 0)
		fault = "out of memory";
	sodium_memzero(password, sizeof(password));
	return fault == NULL || tool_complain("passwd", passwd->user, fault);
}

static bool run(struct passwd *passwd)
{
	char *entry = NULL;
	if (!password_user_is_valid(slice_string(passwd->user)))
		return tool_complain(
			"passwd", passwd->user,
			"no name for a user: it is empty, is not UTF-8, or has a colon, control characters or "
			"outer blanks in it");
	bool done = load(passwd) && (passwd->remove || make_entry(passwd, &entry)) &&
		    save(passwd, entry != NULL ? entry : "");
	free(entry);
	free(passwd->text);
	return done;
}

int passwd_main(int argc, char **argv)
{
	struct passwd passwd = {0};
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
		switch (option) {
		case OPTION_HELP:
			fputs(USAGE, stdout);
			return TOOL_EXIT_OK;
		case OPTION_DELETE:
			passwd.remove = true;
			break;
		default:
			return TOOL_EXIT_USAGE;
		}
	}
	if (argc - optind != 2) {
		fputs("roost passwd: a file and a user are wanted; `roost passwd --help` tells more\n", stderr);
		return TOOL_EXIT_USAGE;
	}
	passwd.path = argv[optind];
	passwd.user = argv[optind + 1];
	return run(&passwd) ? TOOL_EXIT_OK : TOOL_EXIT_FAILED;
}
