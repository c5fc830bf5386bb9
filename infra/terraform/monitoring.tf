locals {
  run       = "resource.type=\"cloud_run_revision\""
  to_admin  = "${local.run} AND resource.labels.service_name=\"${local.deployed["admin"].service}\""
  to_hook   = "${local.run} AND resource.labels.service_name=\"${local.deployed["enrollment_webhook"].service}\""
  requests  = "logName=\"projects/${var.project_id}/logs/run.googleapis.com%2Frequests\""
  of_muster = "resource.labels.service_name=~\"^${local.prefix}-\""

  # What is counted in the logs. The words are those of the code, which a test looks for there.
  log_metrics = merge({
    steps_abandoned  = "${local.run} AND ${local.of_muster} AND jsonPayload.message=(\"step failed\" OR \"step given up\" OR \"enrollment not begun\")"
    crashes          = "${local.run} AND ${local.of_muster} AND severity>=ERROR AND (jsonPayload.stack_trace:* OR jsonPayload.message=\"audit record not written\")"
    neighbour_down   = "${local.run} AND ${local.of_muster} AND severity>=ERROR AND jsonPayload.message:\" down since \""
    webhook_rejected = "${local.to_hook} AND ${local.requests} AND httpRequest.status>=400 AND httpRequest.status<500"
    admin_slow       = "${local.to_admin} AND ${local.requests} AND httpRequest.latency>\"2s\" AND NOT httpRequest.requestUrl:\"/api/self-check\" AND NOT httpRequest.requestUrl:\"/api/export/\" AND NOT httpRequest.requestUrl:\"/events\""
    }, {
    for name, job in local.jobs : "progress_of_${name}" => "${local.run} AND resource.labels.service_name=\"${job.service}\" AND jsonPayload.message=\"${job.progress}\""
  })

  counted = { for name in keys(local.log_metrics) : name => "${local.run} AND metric.type=\"logging.googleapis.com/user/${local.prefix}/${name}\"" }
  usual_alert = {
    aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", comparison = "COMPARISON_GT", threshold = 0, window = 300, duration = 0
    missing = null, severity = "ERROR"
  }

  # Each is explained in docs/playbooks/NAME.md, which its e-mail holds. More than `threshold` within `window` seconds,
  # for `duration` seconds on end.
  alerts = { for name, alert in merge({
    task-abandoned = {
      about  = "A step of an onboarding failed for good"
      filter = local.counted["steps_abandoned"]
    }
    crashed = {
      about  = "Muster failed by a mistake of its own"
      filter = local.counted["crashes"]
    }
    neighbour-down = {
      about  = "Matrix or Authentik does not answer"
      filter = local.counted["neighbour_down"]
    }
    # Authentik tries one event six times within eight minutes; a stranger who knocks once is nothing.
    webhook-rejected = {
      about     = "Webhooks are refused"
      filter    = local.counted["webhook_rejected"]
      window    = 600
      threshold = 3
    }
    # A single one is a cold start.
    admin-slow = {
      about     = "The page answers in more than 2 seconds"
      filter    = local.counted["admin_slow"]
      window    = 900
      threshold = 5
      severity  = "WARNING"
    }
    admin-unreachable = {
      about     = "The page does not answer from outside"
      filter    = "resource.type=\"uptime_url\" AND metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.label.check_id=\"${google_monitoring_uptime_check_config.admin.uptime_check_id}\""
      aligner   = "ALIGN_NEXT_OLDER"
      window    = 1200
      reducer   = "REDUCE_COUNT_FALSE"
      threshold = 1
      duration  = 300
      severity  = "CRITICAL"
    }
    }, {
    for name, job in local.jobs : "no-progress-of-${replace(name, "_", "-")}" => {
      about      = "${name} has not got through for ${job.silence} minutes"
      filter     = local.counted["progress_of_${name}"]
      comparison = "COMPARISON_LT"
      threshold  = 1
      window     = job.silence * 60
      duration   = 60
      missing    = "EVALUATION_MISSING_DATA_ACTIVE"
      severity   = "CRITICAL"
    }
  }) : name => merge(local.usual_alert, alert) }

  playbooks = "${path.module}/../../docs/playbooks"
}

resource "google_logging_metric" "count" {
  for_each = local.log_metrics

  name   = "${local.prefix}/${each.key}"
  filter = each.value

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_notification_channel" "email" {
  display_name = "Muster's people"
  type         = "email"
  labels       = { email_address = var.alert_email }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_uptime_check_config" "admin" {
  display_name = "Muster: the page answers"
  period       = "300s"
  timeout      = "10s"

  http_check {
    path         = "/api/health"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  content_matchers {
    content = "\"status\":\"ok\""
    matcher = "CONTAINS_STRING"
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = trimprefix(local.public_url, "https://") }
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "alert" {
  for_each = local.alerts

  display_name          = "Muster: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [google_monitoring_notification_channel.email.name]

  conditions {
    display_name = each.value.about

    condition_threshold {
      filter                  = each.value.filter
      comparison              = each.value.comparison
      threshold_value         = each.value.threshold
      duration                = "${each.value.duration}s"
      evaluation_missing_data = each.value.missing

      aggregations {
        alignment_period     = "${each.value.window}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  # With the playbook itself: whoever is told at night has it at hand. At most 8,192 characters.
  documentation {
    subject   = "Muster: ${each.value.about}"
    content   = "${file("${local.playbooks}/${each.key}.md")}\n\n(docs/playbooks/${each.key}.md, project ${var.project_id})"
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [google_logging_metric.count]
}

# Its e-mail cannot hold a text of ours, only a name: that of the playbook.
resource "google_billing_budget" "month" {
  count = var.billing_account == "" ? 0 : 1

  billing_account = var.billing_account
  display_name    = "Muster (docs/playbooks/budget.md)"

  budget_filter {
    projects        = ["projects/${data.google_project.this.number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = [google_monitoring_notification_channel.email.id]
  }

  depends_on = [google_project_service.api]
}
