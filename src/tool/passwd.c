/* `roost passwd`: adds, changes and deletes users of a password file, and keeps its other lines as they are. */
#include "tool/tool.h"

#include "auth/password/password_file.h"
#include "auth/password/password_hash.h"
#include "auth/text/lines.h"
#include "base/check.h"
#include "cli/command.h"
#include "tool/prompt.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char USAGE[] =
	"Usage: roost passwd FILE USER\n"
	"       roost passwd --delete FILE USER\n"
	"       roost passwd --print\n\n"
	"Adds a user to a password file, or changes the user's password. Creates the file if there "
	"is none. Asks for the\n"
	"password on the terminal, or reads the first line of stdin.\n\n"
	"      --delete   remove the user\n"
	"      --print    write the hash of a password to stdout, for the record of a user in Redis\n"
	"      --help\n\n"
	"The file has a line NAME:HASH for each user, with an argon2id hash; lines with hashes of "
	"mosquitto_passwd ($7$)\n"
	"are valid too. A running server reads the file again when it reloads.\n";

enum { OPTION_DELETE = CLI_FIRST, OPTION_PRINT };

static const struct option OPTIONS[] = {
	{"delete", no_argument, NULL, OPTION_DELETE},
	{"print", no_argument, NULL, OPTION_PRINT},
	{"help", no_argument, NULL, CLI_HELP},
	{0},
};

struct passwd {
	const char *path;
	const char *user;
	bool remove;
	bool prints;
	uint8_t *text; /* of the file as it was; on the heap */
	size_t size;
};

static bool complain(const struct passwd *passwd, const char *fault)
{
	return cli_complain("passwd", passwd->path, fault);
}

/* Read as the server reads it: a file that the server would refuse is left alone. */
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

/* Copies every line but the user's, which becomes `entry` or is left out; a new user comes last. *found: the file had
 * the user. */
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
		complain(passwd, "it has no such user");
	} else {
		const char *fault = file_replace(passwd->path, slice_of(text, size), FILE_SECRET);
		saved = fault == NULL || complain(passwd, fault);
	}
	free(text);
	return saved;
}

/* Of the password that is asked for. NULL, or why there is none. */
static const char *make_hash(char hash[PASSWORD_HASH_BYTES_MAX])
{
	char password[PROMPT_BYTES_MAX];
	const char *fault = prompt_password(password);
	if (fault == NULL && !password_hash(slice_string(password), hash))
		fault = "out of memory";
	sodium_memzero(password, sizeof(password));
	return fault;
}

static bool print_hash(void)
{
	char hash[PASSWORD_HASH_BYTES_MAX];
	const char *fault = make_hash(hash);
	if (fault == NULL && (puts(hash) == EOF || fflush(stdout) != 0))
		fault = "it cannot be written to stdout";
	return fault == NULL || cli_complain("passwd", "--print", fault);
}

static bool make_entry(const struct passwd *passwd, char **entry)
{
	char hash[PASSWORD_HASH_BYTES_MAX];
	*entry = NULL;
	const char *fault = make_hash(hash);
	if (fault == NULL && asprintf(entry, "%s:%s\n", passwd->user, hash) < 0)
		fault = "out of memory";
	return fault == NULL || cli_complain("passwd", passwd->user, fault);
}

static bool run(struct passwd *passwd)
{
	char *entry = NULL;
	if (!password_user_is_valid(slice_string(passwd->user)))
		return cli_complain(
			"passwd", passwd->user,
			"no name for a user: it is empty, is not UTF-8, or has a colon, a control character, or a "
			"blank at an end");
	bool done = load(passwd) && (passwd->remove || make_entry(passwd, &entry)) &&
		    save(passwd, entry != NULL ? entry : "");
	free(entry);
	free(passwd->text);
	return done;
}

static bool take_option(void *context, int option, const char *text)
{
	struct passwd *passwd = context;
	(void)text;
	CHECK(option == OPTION_DELETE || option == OPTION_PRINT);
	passwd->remove = passwd->remove || option == OPTION_DELETE;
	passwd->prints = passwd->prints || option == OPTION_PRINT;
	return true;
}

int passwd_main(int argc, char **argv)
{
	static const struct cli_command CLI = {
		.name = "passwd", .options = OPTIONS, .usage = USAGE, .words_max = 2, .take = take_option};
	struct passwd passwd = {0};
	int status;
	if (!cli_parse(argc, argv, &CLI, &passwd, &status))
		return status;
	if (passwd.prints && (passwd.remove || argc != optind)) {
		fputs("roost passwd: --print stands alone; `roost passwd --help` says more\n", stderr);
		return CLI_EXIT_USAGE;
	}
	if (passwd.prints)
		return print_hash() ? CLI_EXIT_OK : CLI_EXIT_FAILED;
	if (argc - optind != 2) {
		fputs("roost passwd: a file and a user are required; `roost passwd --help` says more\n", stderr);
		return CLI_EXIT_USAGE;
	}
	passwd.path = argv[optind];
	passwd.user = argv[optind + 1];
	return run(&passwd) ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
