"""farewell.py PROJECT OUTPUTS: where things are now, and what is to be set in Authentik."""

from __future__ import annotations

import json
import sys
from pathlib import Path

TEXT = """\
   page and API   {admin}/
   health         {admin}/api/health
   self-check     {admin}/api/self-check says what is still missing, each with its fix

   In Authentik's worker and server:
     MUSTER_WEBHOOK_URL     {webhook}
     MUSTER_WEBHOOK_SECRET  gcloud secrets versions access latest --secret={secret} --project={project}
   then apply infra/authentik/blueprint.yaml. The page's own address there (redirect URI): {admin}/
"""


def main(project: str, file: str) -> int:
    outputs = {name: each["value"] for name, each in json.loads(Path(file).read_text()).items()}
    ids = [secret.rpartition("/")[2] for secret in outputs.get("secrets", ())]
    secret = next((each for each in ids if "WEBHOOK" in each.upper()), "AUTHENTIK_WEBHOOK_SECRETS")
    admin = str(outputs["admin_url"]).rstrip("/")
    print(TEXT.format(admin=admin, webhook=outputs["webhook_url"], secret=secret, project=project), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
