/* `roost cert`: certificates for development. */
#include "tool/tool.h"

#include "base/check.h"
#include "base/clock.h"
#include "cli/command.h"
#include "tls/certificate/development.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char COMMAND[] = "cert";

static const char USAGE[] =
	"Usage: roost cert --out DIR [--name NAME...] [--client NAME] [OPTION...]\n\n"
	"Makes certificates for development and tests: a CA of its own, a certificate for a server, and one for a "
	"client.\n"
	"On the open internet nobody trusts such a CA; there, take certificates that all trust, such as Let's "
	"Encrypt's.\n\n"
	"      --out DIR        directory for ca.pem, ca.key, server.pem, server.key, and with --client "
	"client-NAME.pem and\n"
	"                       client-NAME.key; it is made if it is not there. A CA that is in it already is used\n"
	"      --name NAME      what the server is called: a host's name, *.example.com or an address; repeatable\n"
	"                       (default: localhost, 127.0.0.1 and ::1; with --client beside a CA that is there: "
	"none)\n"
	"      --client NAME    a client's certificate with this name, from letters, digits, dot, - and _\n"
	"      --rsa            RSA keys of 2048 bits (default: ECDSA on P-256)\n"
	"      --days N         how long they are valid (default: 366)\n"
	"      --force          overwrite what is there, but the CA\n"
	"      --help\n";

enum { OPTION_OUT = CLI_FIRST, OPTION_NAME, OPTION_CLIENT, OPTION_RSA, OPTION_DAYS, OPTION_FORCE };

static const struct option OPTIONS[] = {
	{"out", required_argument, NULL, OPTION_OUT},
	{"name", required_argument, NULL, OPTION_NAME},
	{"client", required_argument, NULL, OPTION_CLIENT},
	{"rsa", no_argument, NULL, OPTION_RSA},
	{"days", required_argument, NULL, OPTION_DAYS},
	{"force", no_argument, NULL, OPTION_FORCE},
	{"help", no_argument, NULL, CLI_HELP},
	{0},
};

#define PATH_BYTES_MAX 1024u
#define DAYS_DEFAULT 366u
#define CA_BYTES_MAX ((size_t)64 << 10)
#define DAY_S 86400

struct cert {
	const char *directory;
	const char *names[TLS_DEVELOPMENT_NAMES_MAX];
	size_t name_count;
	const char *client;
	bool rsa;
	bool force;
	uint32_t days;
};

static bool is_secret(enum tls_development_file file)
{
	return file == TLS_DEVELOPMENT_CA_KEY || file == TLS_DEVELOPMENT_SERVER_KEY ||
	       file == TLS_DEVELOPMENT_CLIENT_KEY;
}

static void file_path(const struct cert *cert, enum tls_development_file file, char path[PATH_BYTES_MAX])
{
	static const char *const WHO[] = {"ca", "ca", "server", "server", "client-", "client-"};
	bool is_client = file >= TLS_DEVELOPMENT_CLIENT;
	int size = snprintf(path, PATH_BYTES_MAX, "%s/%s%s.%s", cert->directory, WHO[file],
			    is_client ? cert->client : "", is_secret(file) ? "key" : "pem");
	CHECK(size > 0 && size < (int)PATH_BYTES_MAX);
}

static bool is_there(const struct cert *cert, enum tls_development_file file)
{
	struct stat status;
	char path[PATH_BYTES_MAX];
	file_path(cert, file, path);
	return lstat(path, &status) == 0;
}

/* ---- the CA ---- */

static bool read_one(const struct cert *cert, enum tls_development_file file, struct tls_development *ca)
{
	char path[PATH_BYTES_MAX];
	uint8_t *data;
	size_t size;
	file_path(cert, file, path);
	const char *fault = file_read(path, CA_BYTES_MAX, is_secret(file) ? FILE_SECRET : FILE_PUBLIC, &data, &size);
	if (fault != NULL)
		return cli_complain(COMMAND, path, fault);
	ca->pem[file] = slice_of(data, size);
	return true;
}

/* *found: there is one in the directory. False: it cannot be used; said. */
static bool read_ca(const struct cert *cert, struct tls_development *ca, bool *found)
{
	*ca = (struct tls_development){0};
	*found = is_there(cert, TLS_DEVELOPMENT_CA) || is_there(cert, TLS_DEVELOPMENT_CA_KEY);
	if (!*found)
		return true;
	if (read_one(cert, TLS_DEVELOPMENT_CA, ca) && read_one(cert, TLS_DEVELOPMENT_CA_KEY, ca))
		return true;
	tls_development_fini(ca);
	return false;
}

/* ---- the files ---- */

/* None of those that are to be written is there, unless it may be overwritten. */
static bool is_free(const struct cert *cert, const struct tls_development *made, bool has_ca)
{
	for (int file = has_ca ? TLS_DEVELOPMENT_SERVER : 0; file < TLS_DEVELOPMENT_FILES; file++) {
		char path[PATH_BYTES_MAX];
		if (made->pem[file].size == 0 || !is_there(cert, (enum tls_development_file)file) || cert->force)
			continue;
		file_path(cert, (enum tls_development_file)file, path);
		return cli_complain(COMMAND, path, "it is there already, and may be in use; --force overwrites it");
	}
	return true;
}

static bool write_files(const struct cert *cert, const struct tls_development *made, bool has_ca)
{
	/* Its keys are for their owner only; the certificates in it are for all. */
	if (mkdir(cert->directory, 0755) != 0 && errno != EEXIST)
		return cli_complain(COMMAND, cert->directory, "the directory cannot be made");
	for (int i = has_ca ? TLS_DEVELOPMENT_SERVER : 0; i < TLS_DEVELOPMENT_FILES; i++) {
		enum tls_development_file file = (enum tls_development_file)i;
		char path[PATH_BYTES_MAX];
		if (made->pem[file].size == 0)
			continue;
		file_path(cert, file, path);
		if (is_secret(file))
			unlink(path); /* else the new key would get the old one's mode */
		const char *fault = file_replace(path, made->pem[file], is_secret(file) ? FILE_SECRET : FILE_PUBLIC);
		if (fault != NULL)
			return cli_complain(COMMAND, path, fault);
		printf("%s\n", path);
	}
	return true;
}

static bool cert_make(struct cert *cert)
{
	static const char *const NAMES[] = {"localhost", "127.0.0.1", "::1"};
	struct tls_development ca, made;
	char fault[TLS_FAULT_BYTES_MAX];
	bool has_ca;
	if (!read_ca(cert, &ca, &has_ca))
		return false;
	bool only_client = cert->name_count == 0 && cert->client != NULL && has_ca;
	const struct tls_development_options options = {
		.names = cert->name_count > 0 ? cert->names : NAMES,
		.name_count = only_client            ? 0
			      : cert->name_count > 0 ? cert->name_count
						     : 3,
		.client = cert->client,
		.rsa = cert->rsa,
		.begins_s = clock_wall_s() - DAY_S, /* for those whose clocks are behind */
		.days = cert->days,
	};
	bool good = tls_development_make(&options, has_ca ? &ca : NULL, &made, fault) ||
		    cli_complain(COMMAND, cert->directory, fault);
	if (good) {
		good = is_free(cert, &made, has_ca) && write_files(cert, &made, has_ca);
		if (good && !only_client)
			printf("SHA-256 of the server's certificate: %s\nWho is to trust it trusts ca.pem: "
			       "mosquitto_sub --cafile %s/ca.pem -h %s ...\n",
			       made.fingerprint, cert->directory, options.names[0]);
		tls_development_fini(&made);
	}
	tls_development_fini(&ca);
	return good;
}

/* ---- the command line ---- */

/* It is part of a file's name. */
static bool take_client(struct cert *cert, const char *name)
{
	bool good = name[0] != '\0' && name[0] != '.' && strlen(name) <= 64;
	for (const char *at = name; *at != '\0'; at++)
		good = good && (isalnum((unsigned char)*at) || strchr(".-_", *at) != NULL);
	cert->client = name;
	return good || cli_complain(COMMAND, "--client", "up to 64 letters, digits, dots, - and _");
}

static bool take_name(struct cert *cert, const char *name)
{
	if (cert->name_count == TLS_DEVELOPMENT_NAMES_MAX)
		return cli_complain(COMMAND, "--name", "there are more than 32");
	cert->names[cert->name_count++] = name;
	return true;
}

static bool cert_take_option(void *context, int option, const char *text)
{
	struct cert *cert = context;
	switch (option) {
	case OPTION_OUT:
		cert->directory = text;
		return (text[0] != '\0' && strlen(text) < PATH_BYTES_MAX - 100) ||
		       cli_complain(COMMAND, "--out", "the path is empty or too long");
	case OPTION_NAME:
		return take_name(cert, text);
	case OPTION_CLIENT:
		return take_client(cert, text);
	case OPTION_RSA:
		cert->rsa = true;
		return true;
	case OPTION_DAYS:
		return cli_u32(COMMAND, "--days", text, 1, TLS_DEVELOPMENT_DAYS_MAX, &cert->days);
	case OPTION_FORCE:
		cert->force = true;
		return true;
	}
	return false;
}

int cert_main(int argc, char **argv)
{
	static const struct cli_command CLI = {
		.name = COMMAND, .options = OPTIONS, .usage = USAGE, .take = cert_take_option};
	struct cert cert = {.days = DAYS_DEFAULT};
	int status;
	if (!cli_parse(argc, argv, &CLI, &cert, &status))
		return status;
	if (cert.directory == NULL) {
		cli_complain(COMMAND, "--out", "a directory is required");
		return CLI_EXIT_USAGE;
	}
	return cert_make(&cert) ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
