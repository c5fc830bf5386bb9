terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50"
    }
  }

  # The bucket is made by deploy.sh, which names it: terraform init -backend-config="bucket=..." -backend-config="prefix=muster"
  backend "gcs" {}
}

provider "google" {
  project = var.project_id
  region  = var.region

  # The budget's API counts against a project, which a person's own credentials do not name.
  billing_project       = var.project_id
  user_project_override = true

  default_labels = { app = local.prefix }
}
