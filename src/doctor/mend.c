#include "doctor/mend.h"

#define DROP_IN "/etc/systemd/system/roost.service.d/90-roost.conf"
#define LOGINS "/etc/security/limits.d/90-roost.conf"

const char *mend_describe(const struct finding *finding, char *out)
{
	const struct limit *limit = finding->limit;
	const char *also = limit->mend != NULL ? limit->mend : "";
	const char *between = limit->mend != NULL ? "; " : "";
	*out = '\0';
	if (!finding->mendable || limit->way == MEND_WORDS) {
		snprintf(out, MEND_BYTES, "%s", also);
	} else if (limit->way == MEND_SYSCTL) {
		snprintf(out, MEND_BYTES, "sysctl -w %s='%s'%s%s", limit->key, finding->wanted, between, also);
	} else if (limit->way == MEND_DESCRIPTORS) {
		snprintf(out, MEND_BYTES, "LimitNOFILE=%s in " DROP_IN ", \"* hard nofile %s\" in " LOGINS,
			 finding->wanted, finding->wanted);
	} else if (limit->way == MEND_SERVICE) {
		snprintf(out, MEND_BYTES, "%s=%s in " DROP_IN, limit->mend, finding->wanted);
	} else if (limit->way == MEND_FILE) {
		snprintf(out, MEND_BYTES, "echo %s > %s%s%s", finding->wanted, machine_path(limit->fact), between,
			 also);
	}
	return out;
}
