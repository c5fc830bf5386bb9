#!/usr/bin/env bash
# Deploys the commit that is checked out here, and no other; from the checkout's own folder, and from no other.
#
#   ./deploy.sh PROJECT REGION [--dry-run] [--yes] [--rollback]
#
#   --dry-run         checks and plans; changes nothing
#   --yes             asks nothing: for a workflow
#   --rollback        goes back to the image that was deployed before (settings and infrastructure stay as they are here)
#   --secrets FILE    NAME=value lines for the secrets that have no value yet, instead of asking; - (with --yes): stdin
#   --var-file FILE   Terraform's variables; terraform.tfvars in this folder unless named
#   --skip-tests      for a workflow that has just run them on this commit; those within the image's build run all the same
#
# Stopped anywhere, it can be run again: what is done is found done. What is not committed is never deployed.
{ set +x; } 2>/dev/null # a trace would show what is not to be shown
set -euo pipefail
called_from=$(pwd -P)
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(pwd -P)

project='' region='' dry_run='' yes='' rollback='' secrets='' skip_tests='' vars=$root/terraform.tfvars
image='' commit='' registry='' bucket='' history='' undo='' work=''
# Terraform wants an image before there is one: in a plan that is never applied, or that makes the registry.
no_digest=sha256:0000000000000000000000000000000000000000000000000000000000000000

die() {
  printf '\nStopped: %s\n%s\n' "$1" "$2" >&2
  exit 1
}
step() { printf '\n== %s\n' "$1"; }
usage() { sed -n '2,14s/^# \{0,1\}//p' "$root/deploy.sh" >&2; exit 2; }
absolute() { case $1 in /* | -) echo "$1" ;; *) echo "$called_from/$1" ;; esac; }
python() { .venv/bin/python "$@"; }
with_project() { gcloud "$@" --project="$project" --quiet; }

parse() {
  while (($#)); do
    case $1 in
      --dry-run) dry_run=1 ;;
      --yes) yes=1 ;;
      --rollback) rollback=1 ;;
      --skip-tests) skip_tests=1 ;;
      --secrets) secrets=$(absolute "${2:?--secrets needs a file}") && shift ;;
      --var-file) vars=$(absolute "${2:?--var-file needs a file}") && shift ;;
      -*) usage ;;
      *) if [[ -z $project ]]; then project=$1; elif [[ -z $region ]]; then region=$1; else usage; fi ;;
    esac
    shift
  done
  [[ $secrets != - || -n $yes ]] || usage # what is asked would take its answers from the secrets
  [[ $project =~ ^[a-z][a-z0-9-]{4,28}[a-z0-9]$ && $region =~ ^[a-z]+-[a-z]+[0-9]+$ ]] || usage
  bucket=gs://$project-muster-state
  history=$bucket/deployments.json
  undo="To go back instead: ./deploy.sh $project $region --rollback"
}

ask() {
  local reply=''
  [[ -z $yes ]] || return 0
  printf '\n%s [y/N] ' "$1"
  read -r reply || true
  [[ $reply == [yY] || $reply == [yY][eE][sS] ]]
}

# ------------------------------------------------------------------ what stands in the way

is_muster() {
  grep -qx 'name = "muster"' pyproject.toml && grep -q '^ENTRY_POINTS = {' main.py && [[ -d infra/terraform ]]
}

check_folder() {
  is_muster 2>/dev/null || die "$root is not Muster's checkout: this deploy.sh has been copied or linked." \
    "Clone Muster, change into that folder and run ./deploy.sh there."
  [[ $called_from == "$root" ]] || die "you are in $called_from, but this deploy.sh belongs to $root." \
    "Change into the folder whose application you want to deploy: cd $root"
  [[ $(git rev-parse --show-toplevel 2>/dev/null) == "$root" ]] || die "$root is not a git checkout of its own." \
    "What is deployed is a commit: clone Muster instead of copying its files."
}

check_tools() {
  local tool
  for tool in gcloud terraform; do
    command -v "$tool" >/dev/null || die "$tool is not installed." \
      "Install it: cloud.google.com/sdk/docs/install for gcloud, developer.hashicorp.com/terraform/install for terraform."
  done
  scripts/setup || die "what Muster's scripts need could not be installed." "It is said above; then run this again."
}

check_login() {
  gcloud auth print-access-token >/dev/null 2>&1 || die "you are not logged in to Google Cloud." "Run: gcloud auth login"
}

check_project() {
  local state
  state=$(gcloud projects describe "$project" --format='value(lifecycleState)' --quiet 2>/dev/null) || state=unknown
  [[ $state == ACTIVE ]] || die "there is no project $project that $(account) may use ($state)." \
    "See gcloud projects list, or log in as somebody else: gcloud auth login"
}

check_billing() {
  local enabled
  enabled=$(gcloud billing projects describe "$project" --format='value(billingEnabled)' --quiet 2>/dev/null) ||
    die "whether $project has a billing account could not be read." \
      "Run: gcloud services enable cloudbilling.googleapis.com --project $project"
  [[ $enabled == True ]] || die "$project has no billing account." \
    "Link one: gcloud billing accounts list, then gcloud billing projects link $project --billing-account ACCOUNT"
}

check_variables() {
  [[ -f $vars ]] || die "$vars is missing: it says which homeserver, which Authentik, whom to tell." \
    "Run: cp infra/terraform/terraform.tfvars.example terraform.tfvars, then fill it in (git ignores it)."
  check_variable project_id "$project"
  check_variable region "$region"
}

# Another installation's settings would send this one's invites to the other's rooms.
check_variable() {
  local named
  named=$(sed -n "s/^$1[[:space:]]*=[[:space:]]*\"\([^\"]*\)\".*/\1/p" "$vars")
  [[ -z $named || $named == "$2" ]] || die "$vars is for $1 $named, and you said $2." \
    "Name the file that belongs to it: --var-file FILE"
}

# Terraform writes its lock file at its first run; it is no part of what is deployed.
changes() { git status --porcelain -- . ':!infra/terraform/.terraform.lock.hcl'; }

check_clean() {
  [[ -z $(changes) ]] || [[ -n $dry_run ]] || die "$(changes | wc -l | tr -d ' ') files here differ from the commit." \
    "What runs is always a commit: git status shows them; commit them, or git stash --include-untracked."
}

account() { gcloud auth list --filter=status:ACTIVE --format='value(account)' 2>/dev/null | head -n 1; }

announce() {
  local version dirty=''
  commit=$(git rev-parse HEAD)
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
  [[ -z $(changes) ]] || dirty=', with changes that are not committed: they would not be deployed'
  step "${dry_run:+If this were no dry run: }${rollback:+the image before, planned by }Muster $version, from $root"
  printf '   commit    %s%s\n   into      project %s, region %s\n   as        %s\n   settings  %s\n' \
    "$(git log -1 --format='%h %cs %s')" "$dirty" "$project" "$region" "$(account)" "$vars"
}

# No Google credential is there while the tests run: they refuse to run with one.
run_tests() {
  [[ -z $skip_tests$rollback ]] || return 0
  step "Tests (scripts/check)"
  env -u GOOGLE_APPLICATION_CREDENTIALS -u GOOGLE_API_KEY -u CLOUDSDK_AUTH_ACCESS_TOKEN scripts/check </dev/null ||
    die "a check failed: nothing was deployed." "It is shown above. scripts/check repeats it."
}

# ------------------------------------------------------------------ Terraform and its state

# One login serves both: Terraform is given gcloud's token (an hour) by its environment.
tf() { GOOGLE_OAUTH_ACCESS_TOKEN=$(gcloud auth print-access-token) terraform -chdir=infra/terraform "$@"; }

tf_plan() { # NAME, then more of Terraform's arguments
  tf plan -input=false -lock-timeout=5m -out="$work/$1" -var-file="$vars" \
    -var="project_id=$project" -var="region=$region" -var="image=$image" "${@:2}"
}

no_plan() { die "Terraform could not plan ($1)." "It says why above; planning changes nothing. Then run this again."; }

plan() { tf_plan "$@" || no_plan "$1"; }

apply() {
  tf apply -input=false -lock-timeout=5m "$work/$1" || die "Terraform stopped in the middle ($1)." \
    "It says why above. What was made stays and is known: once that is put right, run this again. ${2:-}"
}

as_json() { tf show -json "$work/$1" >"$work/$1.json" || die "Terraform's plan could not be read." "Run this again."; }

bucket_owner() { gcloud storage buckets describe "$bucket" --raw --format='value(projectNumber)' --quiet 2>/dev/null; }

# Bucket names are the whole world's: one of somebody else would get to see our state.
check_bucket() {
  local number
  number=$(gcloud projects describe "$project" --format='value(projectNumber)' --quiet) || number=unknown
  [[ $(bucket_owner) == "$number" ]] || die "the bucket $bucket belongs to another project." \
    "Muster keeps its state there: use a project with another id."
}

make_bucket() {
  ask "There is no Muster in $project yet. Make the bucket $bucket for its state, and enable what builds an image?" ||
    die "you declined." "Nothing was changed."
  with_project services enable storage.googleapis.com serviceusage.googleapis.com cloudresourcemanager.googleapis.com \
    iam.googleapis.com artifactregistry.googleapis.com cloudbuild.googleapis.com secretmanager.googleapis.com ||
    die "Google's services could not be enabled in $project." "It is said above. You need the role Owner or Editor there."
  with_project storage buckets create "$bucket" --location="$region" --uniform-bucket-level-access \
    --public-access-prevention || die "the bucket $bucket could not be made." "It is said above; then run this again."
}

prepare_state() {
  step "State in $bucket"
  if ! bucket_owner >/dev/null; then
    [[ -z $rollback ]] || die "there is no Muster in $project: nothing to go back to." "Deploy first, without --rollback."
    [[ -z $dry_run ]] || finish_dry_run "this would make the bucket, the registry, the image, and then ask about the rest"
    make_bucket
  fi
  check_bucket
  # Each time: it may have been made, and no more, by a run that was stopped.
  [[ -n $dry_run ]] || with_project storage buckets update "$bucket" --versioning >/dev/null ||
    die "versioning of $bucket could not be switched on." "Run this again."
  tf init -input=false -reconfigure -backend-config="bucket=${bucket#gs://}" -backend-config=prefix=muster >/dev/null ||
    die "Terraform could not be set up." "It says why above; then run this again."
}

finish_dry_run() {
  printf '\nDry run: nothing was changed; %s.\n' "$1"
  exit 0
}

# ------------------------------------------------------------------ registry, image, secrets

lay_foundation() {
  step "Registry and secrets"
  local targets outcome=0
  targets=$(python scripts/deploying/plans.py foundation infra/terraform) || die "infra/terraform has no registry." \
    "This checkout is not whole: git status"
  image=$region-docker.pkg.dev/$project/muster/muster@$no_digest
  # shellcheck disable=SC2086 # addresses have no blanks
  tf_plan foundation -detailed-exitcode $targets || outcome=$? # 2: there is something to do
  ((outcome != 0)) || return 0
  ((outcome == 2)) || no_plan foundation
  ask "Make these first? The image needs its registry." || die "you declined." "Nothing was changed by Terraform."
  apply foundation
}

digest_of() { with_project artifacts docker images describe "$1" --format='value(image_summary.digest)' 2>/dev/null || true; }

find_image() {
  registry=$(tf output -raw registry) ||
    die "Terraform does not say where the registry is." "Run this again; not as a dry run, if there was none yet."
  image=$registry/muster@$(digest_of "$registry/muster:$commit")
}

build_image() {
  step "Image of ${commit:0:7}"
  find_image
  if [[ $image == *@ ]]; then
    git archive --format=tar.gz --output="$work/source.tar.gz" "$commit"
    with_project builds submit "$work/source.tar.gz" --tag="$registry/muster:$commit" --timeout=3600 ||
      die "the image could not be built." \
        "Cloud Build says why above. If its account may not write: give it Artifact Registry Writer. Then run this again."
    find_image
    [[ $image != *@ ]] || die "the image was built, but is not in the registry." "Run this again."
  fi
  echo "   $image"
  keep_sbom || die "the list of what is in the image could not be written." "It is said above; then run this again."
}

keep_sbom() {
  scripts/sbom "$work/sbom.json" >/dev/null || return
  gcloud storage cp "$work/sbom.json" "$bucket/sbom/$commit.json" --quiet >/dev/null
}

put_secrets() {
  step "Secrets"
  read_outputs
  python scripts/deploying/put_secrets.py "$project" "$work/outputs.json" ${secrets:+"$secrets"} <&3 ||
    die "not every secret has a value." "It is said above; the ones that were put in stay. Then run this again."
}

read_outputs() { tf output -json >"$work/outputs.json" || die "Terraform's outputs could not be read." "Run this again."; }

# ------------------------------------------------------------------ services

# Forward, those that do tasks come first: none may get a task that it cannot read yet. Back, they come last.
roll_out() {
  local targets which=tasks
  [[ -z $rollback ]] || which=callers
  step "Plan"
  plan shown
  as_json shown
  ask "Apply this to $project?" || die "you declined." "The services are as they were."
  note begin "$image" "$commit" ${rollback:+back}
  targets=$(python scripts/deploying/plans.py services "$work/shown.json" "$which") ||
    die "Terraform's plan could not be read." "Run this again."
  if [[ -n $targets ]]; then
    step "First: $which"
    # shellcheck disable=SC2086 # addresses have no blanks
    plan first $targets >/dev/null
    apply first "$undo"
  fi
  step "The rest"
  plan rest >/dev/null
  as_json rest
  python scripts/deploying/plans.py within "$work/shown.json" "$work/rest.json" ||
    die "something else has changed in the meantime: the rest is not what you were shown." "Run this again and look."
  apply rest "$undo"
}
prove() {
  step "Every entry point of the new revision"
  read_outputs
  with_project run services list --format=json >"$work/services.json" ||
    die "the services could not be listed." "Run this again."
  answers_as_it_should || die "what was deployed does not answer as it should." "It is said above. Run this again. $undo"
}

answers_as_it_should() {
  python scripts/deploying/revisions.py "$image" <"$work/services.json" || return
  python scripts/smoke --outputs "$work/outputs.json"
}

# ------------------------------------------------------------------ what was deployed, and what before

# Which images were proven, in the state's bucket; see scripts/deploying/history.py.
fetch_history() {
  gcloud storage cat "$history" --quiet >"$work/history.json" 2>"$work/history.err" && return
  grep -q 'matched no objects' "$work/history.err" || die "$history could not be read." "$(tail -n 1 "$work/history.err")"
  echo '{}' >"$work/history.json"
}

note() {
  fetch_history
  python scripts/deploying/history.py "$@" <"$work/history.json" >"$work/history.new"
  gcloud storage cp "$work/history.new" "$history" --quiet >/dev/null 2>&1 ||
    die "$history could not be written." "Without it there is no way back: run this again."
}

choose_image_before() {
  step "The image before"
  local found
  fetch_history
  found=$(python scripts/deploying/history.py before <"$work/history.json") ||
    die "no image before this one is known." "Check an earlier commit out and deploy that."
  image=${found% *}
  printf '   %s\n   of commit %s\n' "$image" "${found##* }"
  with_project artifacts docker images describe "$image" --format='value(image_summary.digest)' >/dev/null 2>&1 ||
    die "that image is no longer in the registry." "Check the commit ${found##* } out and deploy that."
  commit=${found##* }
}

# ------------------------------------------------------------------ the whole of it

plan_only() {
  image=$region-docker.pkg.dev/$project/muster/muster@$no_digest
  if [[ -n $rollback ]]; then choose_image_before; else find_image; fi
  if [[ $image == *@ ]]; then
    echo "   no image of ${commit:0:7} yet: it would be built; its digest is shown as zeros"
    image+=$no_digest
  fi
  step "Plan"
  plan shown
  finish_dry_run "the above is what would be"
}

tell() {
  step "${rollback:+Back to }Muster ${commit:0:7} in $project"
  python scripts/deploying/farewell.py "$project" "$work/outputs.json"
  [[ -z $(git status --porcelain -- infra/terraform/.terraform.lock.hcl) ]] ||
    echo "   Commit infra/terraform/.terraform.lock.hcl: it holds the providers' versions."
}

main() {
  parse "$@"
  exec 3<&0
  [[ $secrets != - ]] || exec </dev/null # nothing but put_secrets.py gets to read them
  check_folder
  check_tools
  check_login
  check_project
  check_billing
  check_variables
  announce
  check_clean
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  [[ -n $dry_run ]] || run_tests
  prepare_state
  [[ -z $dry_run ]] || plan_only
  if [[ -n $rollback ]]; then
    choose_image_before
  else
    lay_foundation
    build_image
    put_secrets
  fi
  roll_out
  prove
  note good
  tell
}

main "$@"
