# Nothing is asked of Google: the provider is a mock. What is planned here is held against the code, value by value, by
# tests/infra/test_terraform.py; here is what Terraform says best by itself.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project_id  = "muster-test"
  region      = "europe-west1"
  image       = "europe-west1-docker.pkg.dev/muster-test/muster/muster@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  alert_email = "alerts@example.org"

  authentik_url     = "https://auth.example.org"
  matrix_homeserver = "https://matrix.example.org"
  matrix_user_id    = "@muster:example.org"
  matrix_domain     = "example.org"
}

run "usual" {
  assert {
    condition     = length(google_billing_budget.month) == 0
    error_message = "Without a billing account there is no budget."
  }
  assert {
    condition     = output.admin_url == "https://muster-admin-123456789012.europe-west1.run.app"
    error_message = "The page's address is Cloud Run's predictable one."
  }
  assert {
    condition     = output.authentik_redirect_uri == "${output.admin_url}/"
    error_message = "Authentik sends people back to the page."
  }
  assert {
    condition     = output.registry == "europe-west1-docker.pkg.dev/muster-test/muster"
    error_message = "deploy.sh pushes the image there."
  }
  assert {
    condition     = google_firestore_database.muster.location_id == "europe-west1"
    error_message = "The database is beside the functions unless said otherwise."
  }
}

run "everything" {
  variables {
    own_targets              = ["create_invite", "create_user"]
    billing_account          = "012345-6789AB-CDEF01"
    monthly_budget           = 25
    firestore_location       = "eur3"
    firestore_database       = "muster"
    public_url               = "https://muster.example.org"
    authentik_issuer         = "https://auth.example.org/application/o/muster/"
    authentik_client_id      = "page"
    authentik_flow_slug      = "enroll"
    authentik_default_group  = "members"
    authentik_ca_bundle      = "/etc/ssl/a.pem"
    admin_group              = "admins"
    grantable_groups         = ["moderators", "helpers"]
    matrix_indoc_room_id     = "#indoc:example.org"
    matrix_default_rooms     = ["#news:example.org", "!abc:example.org"]
    matrix_puppets           = ["@signal_"]
    matrix_signal_bridge_bot = "@signalbot:example.org"
    phone_default_region     = "DE"
    matrix_ca_bundle         = "/etc/ssl/b.pem"
    matrix_membership        = "join"
    matrix_enable_encryption = true
    matrix_sync_device       = true
    auto_remove_from_indoc   = false
    indoc_leave_after_join   = true
    indoc_clock              = true
    indoc_nudge_hours        = 10
    indoc_remove_hours       = 12
    protected_members        = ["@ada:example.org"]
    welcome_delay_seconds    = 7
    notice_without_device    = true
    matrix_message_notice    = "You get this as a member."
    recommend_min_score      = 30
    recommend_max_score      = 90
    smtp_host                = "smtp.example.org"
    smtp_port                = 465
    smtp_security            = "tls"
    smtp_username            = "muster@example.org"
    smtp_from                = "Muster <muster@example.org>"
    smtp_ca_bundle           = "/etc/ssl/c.pem"
    tracing                  = true
    assistant_url            = "https://models.example.org/v1"
    assistant_model          = "small-model"
    cost_prices              = { reads = 0.5 }

    matrix_signal_bridge_room_id = "!signal:example.org"
  }

  assert {
    condition     = one(google_billing_budget.month).amount[0].specified_amount[0].units == "25"
    error_message = "The budget is what was asked for."
  }
  assert {
    condition     = google_monitoring_uptime_check_config.admin.monitored_resource[0].labels.host == "muster.example.org"
    error_message = "The address that people use is the one that is watched."
  }
  assert {
    condition     = google_firestore_database.muster.location_id == "eur3"
    error_message = "The database is where it was asked to be."
  }
}

run "mistakes" {
  command = plan

  variables {
    project_id              = "123456789012"
    region                  = "europe-west1-b"
    image                   = "europe-west1-docker.pkg.dev/muster-test/muster/muster:latest"
    alert_email             = "nobody"
    own_targets             = ["deliver_welcome"]
    billing_account         = "mine"
    monthly_budget          = 0.5
    backup_retention_days   = 99
    firestore_location      = "Europe"
    firestore_database      = "Default"
    authentik_url           = "https://auth.example.org/api/v3"
    authentik_issuer        = "https://auth.example.org/application/o/muster"
    authentik_default_group = " members"
    authentik_client_id     = "the page"
    admin_group             = "admins "
    authentik_flow_slug     = "a flow"
    authentik_ca_bundle     = "ca.pem"
    grantable_groups        = ["a,b"]
    public_url              = "http://muster.example.org"
    matrix_homeserver       = "matrix.example.org"
    matrix_user_id          = "muster"
    matrix_domain           = "https://example.org"
    matrix_indoc_room_id    = "indoc"
    matrix_default_rooms    = ["news"]
    matrix_puppets          = ["signal"]
    phone_default_region    = "Germany"
    matrix_ca_bundle        = "ca.pem"
    matrix_membership       = "kick"
    indoc_nudge_hours       = 0
    indoc_remove_hours      = 10000
    protected_members       = ["ada"]
    welcome_delay_seconds   = -1
    recommend_min_score     = -1
    recommend_max_score     = 101
    cost_prices             = { "a b" = 1 }

    matrix_signal_bridge_room_id = "signal"
    matrix_signal_bridge_bot     = "signalbot"
  }

  expect_failures = [
    var.project_id, var.region, var.image, var.alert_email, var.own_targets, var.billing_account, var.monthly_budget,
    var.backup_retention_days, var.firestore_location, var.firestore_database, var.authentik_url, var.authentik_issuer,
    var.authentik_flow_slug, var.authentik_ca_bundle, var.grantable_groups, var.public_url, var.matrix_homeserver,
    var.matrix_user_id, var.matrix_domain, var.matrix_indoc_room_id, var.matrix_default_rooms, var.matrix_puppets,
    var.matrix_ca_bundle, var.welcome_delay_seconds, var.authentik_default_group, var.authentik_client_id,
    var.admin_group, var.cost_prices, var.indoc_nudge_hours, var.indoc_remove_hours, var.protected_members,
    var.recommend_min_score, var.recommend_max_score, var.matrix_membership, var.phone_default_region,
    var.matrix_signal_bridge_room_id, var.matrix_signal_bridge_bot,
  ]
}
