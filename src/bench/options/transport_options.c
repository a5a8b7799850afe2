#include "bench/options/transport_options.h"

#include <stdio.h>
#include <string.h>

static bool take_version(void *owner, const char *text)
{
	struct transport_options *options = owner;
	bool is_2 = strcmp(text, "1.2") == 0;
	if (!is_2 && strcmp(text, "1.3") != 0) {
		fprintf(stderr, "roost bench: --tls-version: \"%s\" is not 1.2 or 1.3\n", text);
		return false;
	}
	options->only_tls_1_2 = is_2;
	return true;
}

const struct option_row TRANSPORT_OPTIONS[] = {
	OPTION_ROW_TEXT("tls-ca", struct transport_options, ca_path),
	OPTION_ROW_TEXT("tls-cert", struct transport_options, cert_path),
	OPTION_ROW_TEXT("tls-key", struct transport_options, key_path),
	OPTION_ROW_CALL("tls-version", take_version),
	OPTION_ROW_TEXT("tls-ciphers", struct transport_options, ciphers),
	OPTION_ROW_TEXT("tls-suites", struct transport_options, suites),
	OPTION_ROW_U32("tls-resume", struct transport_options, resume_percent, 0, 100),
	{0},
};

const char *transport_options_fault(const struct transport_options *options)
{
	if ((options->cert_path == NULL) != (options->key_path == NULL))
		return "--tls-cert and --tls-key belong together";
	return NULL;
}
