locals {
  # A queue per limit of what is downstream: Synapse's for invites and for messages, Authentik's API. Paces of a single
  # member are the code's (docs/decisions/0004); these keep a wave of newcomers from flooding a neighbour.
  queues = {
    invites    = { rate = 20, concurrent = 16 }
    messages   = { rate = 10, concurrent = 8 }
    broadcasts = { rate = 5, concurrent = 8 } # to many: behind one another, and in nobody's way
    accounts   = { rate = 10, concurrent = 4 }
  }
}

# A deleted queue's name cannot be used again for a week: rename none without need.
resource "google_cloud_tasks_queue" "queue" {
  for_each = local.queues

  name     = "${local.prefix}-${each.key}"
  location = var.region

  rate_limits {
    max_dispatches_per_second = each.value.rate
    max_concurrent_dispatches = each.value.concurrent
  }

  # The step counts its faults and is given up after ten, with 200 (shared/services/steps.py); the pauses are those of
  # `backoff` in shared/domain/onboarding.py. What is beyond that is ours to mend (a wrong setting), and a step that lost its
  # task is found by the sweep. Cloud Tasks gives up when attempts and duration are both used up.
  retry_config {
    max_attempts       = 100
    max_retry_duration = "3600s"
    min_backoff        = "2s"
    max_backoff        = "300s"
    max_doublings      = 8
  }

  stackdriver_logging_config {
    sampling_ratio = 0.1
  }

  depends_on = [google_project_service.api]
}
