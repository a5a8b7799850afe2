#include "doctor/fix/fix.h"

#include "base/check.h"

#define DROP_IN "/etc/systemd/system/roost.service.d/90-roost.conf"
#define LOGINS "/etc/security/limits.d/90-roost.conf"

const char *fix_describe(const struct finding *finding, char *out)
{
	const struct limit *limit = finding->limit;
	CHECK(finding->state == FINDING_SHORT);
	CHECK(limit->way != FIX_SERVICE || limit->fix != NULL);
	const char *also = limit->fix != NULL ? limit->fix : "";
	const char *between = limit->fix != NULL ? "; " : "";
	*out = '\0';
	if (!finding->fixable || limit->way == FIX_WORDS) {
		snprintf(out, FIX_BYTES, "%s", also);
	} else if (limit->way == FIX_SYSCTL) {
		snprintf(out, FIX_BYTES, "sysctl -w %s='%s'%s%s", limit->key, finding->wanted, between, also);
	} else if (limit->way == FIX_DESCRIPTORS) {
		snprintf(out, FIX_BYTES, "LimitNOFILE=%s in " DROP_IN ", \"* hard nofile %s\" in " LOGINS,
			 finding->wanted, finding->wanted);
	} else if (limit->way == FIX_SERVICE) {
		snprintf(out, FIX_BYTES, "%s=%s in " DROP_IN, limit->fix, finding->wanted);
	} else if (limit->way == FIX_FILE) {
		snprintf(out, FIX_BYTES, "echo %s > %s%s%s", finding->wanted, machine_path(limit->fact), between, also);
	}
	return out;
}
