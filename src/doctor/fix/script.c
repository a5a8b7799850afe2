/* The script: two verbs, each over the same files. Its values are numbers and words of the table of limits, and what
 * was read from this machine goes in as numbers only, so nothing in it needs quoting. */
#include "doctor/fix/fix.h"

#include "base/check.h"

#define SYSCTL_FILE "/etc/sysctl.d/90-roost.conf"
#define LOGIN_FILE "/etc/security/limits.d/90-roost.conf"
#define SERVICE_FILE "/etc/systemd/system/roost.service.d/90-roost.conf"
#define TMPFILES_FILE "/etc/tmpfiles.d/90-roost.conf"

static const char HEAD[] =
	"#!/bin/sh\n"
	"# Written by `roost doctor --fix-script`: raises the limits of this machine for %llu connections.\n"
	"#   sh SCRIPT         writes the files below and sets at once what can be set\n"
	"#   sh SCRIPT undo    removes the files and sets what was there when the script was written\n"
	"# Limits on descriptors apply from the next login and the next start of the service.\n"
	"# ROOT=/some/tree writes the files there and sets nothing.\n"
	"set -eu\n\n"
	"root=${ROOT:-}\n"
	"failed=0\n"
	"write() { # FILE; its content comes on stdin\n"
	"\tmkdir -p \"$(dirname \"$root$1\")\"\n"
	"\tcat >\"$root$1\"\n"
	"\techo \"wrote $root$1\"\n"
	"}\n"
	"remove() {\n"
	"\trm -f \"$root$1\"\n"
	"\techo \"removed $root$1\"\n"
	"}\n"
	"try() { # a command that needs the machine itself\n"
	"\t[ -z \"$root\" ] || return 0\n"
	"\t\"$@\" || { echo \"failed: $*\" >&2; failed=1; }\n"
	"}\n"
	"set_file() { echo \"$2\" >\"$1\"; }\n"
	"reload_systemd() { [ ! -d /run/systemd/system ] || systemctl daemon-reload; }\n\n";

static bool goes_into(const struct finding *finding, enum fix_way way)
{
	return finding->state == FINDING_SHORT && finding->fixable && finding->limit->way == way;
}

static bool any(const struct verdict *verdict, enum fix_way way)
{
	for (uint32_t i = 0; i < verdict->count; i++) {
		if (goes_into(&verdict->findings[i], way))
			return true;
	}
	return false;
}

/* Several findings may ask for more descriptors; all want the same value. */
static const struct finding *descriptors(const struct verdict *verdict)
{
	const struct finding *found = NULL;
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		if (!goes_into(finding, FIX_DESCRIPTORS))
			continue;
		CHECK(found == NULL || strcmp(found->wanted, finding->wanted) == 0);
		found = finding;
	}
	return found;
}

static bool touches_service(const struct verdict *verdict)
{
	return descriptors(verdict) != NULL || any(verdict, FIX_SERVICE);
}

static void write_sysctls(const struct verdict *verdict, FILE *out)
{
	if (!any(verdict, FIX_SYSCTL))
		return;
	fputs("\twrite " SYSCTL_FILE " <<'EOF'\n", out);
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		if (goes_into(finding, FIX_SYSCTL))
			fprintf(out, "# %s\n%s = %s\n", finding->limit->breaks, finding->limit->key, finding->wanted);
	}
	fputs("EOF\n\ttry sysctl -q -p " SYSCTL_FILE "\n", out);
}

static void write_service(const struct verdict *verdict, FILE *out)
{
	const struct finding *more = descriptors(verdict);
	if (!touches_service(verdict))
		return;
	fputs("\twrite " SERVICE_FILE " <<'EOF'\n[Service]\n", out);
	if (more != NULL)
		fprintf(out, "LimitNOFILE=%s\n", more->wanted);
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		if (goes_into(finding, FIX_SERVICE))
			fprintf(out, "%s=%s\n", finding->limit->fix, finding->wanted);
	}
	fputs("EOF\n\ttry reload_systemd\n", out);
}

static void write_logins(const struct verdict *verdict, FILE *out)
{
	const struct finding *more = descriptors(verdict);
	if (more == NULL)
		return;
	/* "*" does not include root. */
	fprintf(out, "\twrite " LOGIN_FILE " <<'EOF'\n* hard nofile %s\nroot hard nofile %s\nEOF\n", more->wanted,
		more->wanted);
}

static void write_tmpfiles(const struct verdict *verdict, FILE *out)
{
	if (!any(verdict, FIX_FILE))
		return;
	fputs("\twrite " TMPFILES_FILE " <<'EOF'\n", out);
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		if (goes_into(finding, FIX_FILE))
			fprintf(out, "w %s - - - - %s\n", machine_path(finding->limit->fact), finding->wanted);
	}
	fputs("EOF\n", out);
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		if (goes_into(finding, FIX_FILE))
			fprintf(out, "\ttry set_file %s %s\n", machine_path(finding->limit->fact), finding->wanted);
	}
}

/* The script names what no file fixes: one that succeeds must not be taken for a machine that is all right. */
static void write_remarks(const struct verdict *verdict, FILE *out)
{
	fputs("\tcat <<'EOF'\n", out);
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		char words[FIX_BYTES];
		if (finding->state == FINDING_SHORT && (!finding->fixable || finding->limit->way == FIX_WORDS))
			fprintf(out, "not fixed by this script: %s (%s)\n", finding->limit->key,
				fix_describe(finding, words));
	}
	fputs("EOF\n", out);
}

static void write_undo(const struct verdict *verdict, FILE *out)
{
	if (any(verdict, FIX_SYSCTL))
		fputs("\tremove " SYSCTL_FILE "\n", out);
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		char before[NEED_WANTED_BYTES];
		if (goes_into(finding, FIX_SYSCTL) && limit_before(finding->limit, verdict->machine, before))
			fprintf(out, "\ttry sysctl -q -w %s='%s'\n", finding->limit->key, before);
	}
	if (any(verdict, FIX_FILE))
		fputs("\tremove " TMPFILES_FILE "\n", out);
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		char before[NEED_WANTED_BYTES];
		if (goes_into(finding, FIX_FILE) && limit_before(finding->limit, verdict->machine, before))
			fprintf(out, "\ttry set_file %s %s\n", machine_path(finding->limit->fact), before);
	}
	if (descriptors(verdict) != NULL)
		fputs("\tremove " LOGIN_FILE "\n", out);
	if (touches_service(verdict))
		fputs("\tremove " SERVICE_FILE "\n\ttry reload_systemd\n", out);
}

void fix_write_script(const struct verdict *verdict, FILE *out)
{
	CHECK(verdict->connections > 0);
	fprintf(out, HEAD, (unsigned long long)verdict->connections);
	fputs("apply() {\n", out);
	write_sysctls(verdict, out);
	write_service(verdict, out);
	write_logins(verdict, out);
	write_tmpfiles(verdict, out);
	write_remarks(verdict, out);
	fputs("\techo done\n}\n\nundo() {\n", out);
	write_undo(verdict, out);
	fputs("\techo undone\n}\n\n"
	      "case ${1:-apply} in\n"
	      "apply | undo) \"${1:-apply}\" ;;\n"
	      "*) echo \"usage: sh $0 [undo]\" >&2; exit 2 ;;\n"
	      "esac\n"
	      "exit \"$failed\"\n",
	      out);
}
