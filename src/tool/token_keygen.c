/* `roost token keygen`: a new key to sign with, and its public half for the server. */
#include "tool/token.h"

#include "base/check.h"
#include "cli/command.h"
#include "tool/signer.h"
#include "tool/tool.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char COMMAND[] = "token keygen";

static const char USAGE[] =
	"Usage: roost token keygen --alg ALG --private FILE [--public FILE] [--kid ID]\n\n"
	"Makes a key for tokens and writes it as a JWK set (RFC 7517).\n\n"
	"      --alg ALG        HS256, RS256 (2048 bits), ES256 or EdDSA (Ed25519)\n"
	"      --private FILE   file for the key that `roost token --key` signs with; never overwritten. With HS256 "
	"the\n"
	"                       server uses this key too\n"
	"      --public FILE    file for the public key, which the server uses (not with HS256, which has none)\n"
	"      --kid ID         key id (default: the key's thumbprint, RFC 7638)\n"
	"      --help\n";

enum { OPTION_ALG = CLI_FIRST, OPTION_PRIVATE, OPTION_PUBLIC, OPTION_KID };

static const struct option OPTIONS[] = {
	{"alg", required_argument, NULL, OPTION_ALG},
	{"private", required_argument, NULL, OPTION_PRIVATE},
	{"public", required_argument, NULL, OPTION_PUBLIC},
	{"kid", required_argument, NULL, OPTION_KID},
	{"help", no_argument, NULL, CLI_HELP},
	{0},
};

struct keygen {
	const char *algorithm;
	const char *secret_path;
	const char *public_path;
	const char *id;
};

static bool write_set(const struct signer *signer, const char *path, enum file_secrecy secrecy)
{
	json_t *set = json_pack("{s:[o]}", "keys", signer_jwk(signer, secrecy == FILE_SECRET));
	CHECK(set != NULL);
	size_t size = json_dumpb(set, NULL, 0, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	char *text = malloc(size + 1);
	CHECK(text != NULL);
	CHECK(json_dumpb(set, text, size, JSON_INDENT(2) | JSON_PRESERVE_ORDER) == size);
	text[size++] = '\n';
	const char *fault = file_replace(path, slice_of(text, size), secrecy);
	sodium_memzero(text, size);
	free(text);
	json_decref(set);
	return fault == NULL || cli_complain(COMMAND, path, fault);
}

static bool run(const struct keygen *keygen, enum algorithm algorithm)
{
	struct signer signer;
	struct fault fault;
	if (access(keygen->secret_path, F_OK) == 0)
		return cli_complain(COMMAND, keygen->secret_path, "it is there already, and may be a key in use");
	if (!signer_generate(&signer, algorithm, &fault))
		return cli_complain(COMMAND, keygen->algorithm, fault.text);
	CHECK(keygen->id == NULL || strlen(keygen->id) < sizeof(signer.id));
	if (keygen->id != NULL)
		strcpy(signer.id, keygen->id);
	else
		signer_set_thumbprint(&signer);
	bool written = write_set(&signer, keygen->secret_path, FILE_SECRET) &&
		       (keygen->public_path == NULL || write_set(&signer, keygen->public_path, FILE_PUBLIC));
	signer_fini(&signer);
	return written;
}

static bool take_option(void *context, int option, const char *text)
{
	struct keygen *keygen = context;
	switch (option) {
	case OPTION_ALG:
		keygen->algorithm = text;
		return true;
	case OPTION_PRIVATE:
		keygen->secret_path = text;
		return true;
	case OPTION_PUBLIC:
		keygen->public_path = text;
		return true;
	case OPTION_KID:
		keygen->id = text;
		return true;
	}
	return false;
}

int token_keygen_main(int argc, char **argv)
{
	static const struct cli_command CLI = {
		.name = COMMAND, .options = OPTIONS, .usage = USAGE, .take = take_option};
	struct keygen keygen = {0};
	enum algorithm algorithm;
	int status;
	if (!cli_parse(argc, argv, &CLI, &keygen, &status))
		return status;
	status = CLI_EXIT_USAGE;
	if (keygen.algorithm == NULL || !algorithm_parse(slice_string(keygen.algorithm), &algorithm))
		cli_complain(COMMAND, "--alg", "HS256, RS256, ES256 or EdDSA is required");
	else if (keygen.secret_path == NULL)
		cli_complain(COMMAND, "--private", "a file is required");
	else if (keygen.public_path != NULL && algorithm == ALGORITHM_HS256)
		cli_complain(COMMAND, "--public", "HS256 has no public key: whoever can verify can sign");
	else if (keygen.id != NULL && (keygen.id[0] == '\0' || strlen(keygen.id) > KEY_ID_BYTES_MAX))
		cli_complain(COMMAND, "--kid", "it is empty or longer than 256 bytes");
	else
		status = run(&keygen, algorithm) ? CLI_EXIT_OK : CLI_EXIT_FAILED;
	return status;
}
