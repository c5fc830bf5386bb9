output "admin_url" {
  description = "The page, and the API below /api."
  value       = local.public_url
}

output "webhook_url" {
  description = "For Authentik's worker and server: MUSTER_WEBHOOK_URL. Their MUSTER_WEBHOOK_SECRET is the newest of the secret AUTHENTIK_WEBHOOK_SECRETS."
  value       = local.deployed["enrollment_webhook"].url
}

output "authentik_redirect_uri" {
  description = "For the OIDC application of the page in Authentik."
  value       = "${local.public_url}/"
}

output "registry" {
  description = "Where the image is pushed to."
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}"
}

output "functions" {
  description = "Each deployed entry point: its service, address, kind, and whether anybody may call it. Tasks and jobs are consumers of what the others enqueue."
  value = {
    for name, function in local.deployed : name => {
      service = function.service
      url     = function.url
      kind    = function.kind
      public  = function.public
      account = google_service_account.function[name].email
    }
  }
}

output "invokers" {
  description = "The accounts whose tokens tasks and scheduled runs carry."
  value       = { tasks = google_service_account.tasks.email, scheduler = google_service_account.scheduler.email }
}

output "secrets" {
  description = "Each secret setting and its name in Secret Manager: what deploy.sh puts in, and the environment of scripts/setup matrix."
  value       = local.secret_names
}

output "settings" {
  description = "The environment that all functions have in common."
  value       = { for name, value in local.settings : name => value if value != "" }
}
