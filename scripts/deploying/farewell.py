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
   then apply infra/authentik/blueprint.yaml. The page's own address there (redirect URI): {redirect}
"""


def main(project: str, file: str) -> int:
    outputs = {name: each["value"] for name, each in json.loads(Path(file).read_text()).items()}
    secret = outputs["secrets"]["AUTHENTIK_WEBHOOK_SECRETS"].split("/")[3]
    admin = str(outputs["admin_url"]).rstrip("/")
    words = {"admin": admin, "webhook": outputs["webhook_url"], "redirect": outputs["authentik_redirect_uri"]}
    print(TEXT.format(**words, secret=secret, project=project), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
