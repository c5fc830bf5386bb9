data "google_project" "this" {
  project_id = var.project_id
}

locals {
  prefix = "muster"

  # Everything that is deployed follows from this map; its names and kinds are those of ENTRY_POINTS in main.py.
  #
  #   kind           admin and hook are public, task (Cloud Tasks) and job (Cloud Scheduler) are not
  #   secrets        what it may read; everything else is refused by Secret Manager
  #   named          secrets whose name it is given without the right to read them: the self-check asks whether they are set
  #   enqueues       the queues into which it puts tasks; a task whose step goes on puts it into its own
  #   queue          of a task: which one brings its tasks (QUEUES in shared/wiring.py)
  #                  A job with a queue goes on as a task of its own
  #   schedule       of a job: cron, in UTC; `progress`: what its log says when it has got through; `silence`: minutes
  #                  without that until somebody is told
  #   roles          further roles on the project; none is needed today
  #   timeout        seconds. A task has 60 (the deadline of the queue's requests), a job less than its lease lasts
  #   concurrency    requests that one instance serves at once
  functions = {
    admin = {
      kind        = "admin"
      about       = "The page and its API"
      secrets     = ["ADMIN_API_KEYS", "AUTHENTIK_API_TOKEN", "MATRIX_ACCESS_TOKEN", "MATRIX_REPLIES_KEY", "ASSISTANT_API_KEY", "SMTP_PASSWORD"]
      named       = ["AUTHENTIK_WEBHOOK_SECRETS"]
      enqueues    = ["invites", "messages", "accounts", "broadcasts"]
      timeout     = 300 # a large export is written for as long, and somebody may follow a member for 240
      memory      = "512Mi"
      concurrency = 80 # 50 of them may follow something, which costs next to nothing while nothing moves
      max         = 4
    }
    create_invite = {
      kind        = "admin"
      about       = "POST /api/invites alone"
      secrets     = ["ADMIN_API_KEYS", "AUTHENTIK_API_TOKEN"]
      timeout     = 60
      memory      = "512Mi"
      concurrency = 40
      max         = 2
    }
    create_user = {
      kind        = "admin"
      about       = "POST /api/users alone"
      secrets     = ["ADMIN_API_KEYS", "AUTHENTIK_API_TOKEN"]
      enqueues    = ["invites", "messages", "accounts"]
      timeout     = 60
      memory      = "512Mi"
      concurrency = 40
      max         = 2
    }
    enrollment_webhook = {
      kind        = "hook"
      about       = "Called by Authentik: begins an onboarding"
      secrets     = ["AUTHENTIK_API_TOKEN", "AUTHENTIK_WEBHOOK_SECRETS"]
      enqueues    = ["invites", "messages", "accounts"]
      timeout     = 30 # Authentik waits no longer
      memory      = "512Mi"
      concurrency = 40
      max         = 4
    }
    invite_to_room = {
      kind        = "task"
      about       = "One member into one room"
      secrets     = ["MATRIX_ACCESS_TOKEN"]
      enqueues    = ["accounts"] # a sync of the cache, after a job
      queue       = "invites"
      timeout     = 60
      memory      = "512Mi"
      concurrency = 16
      max         = 2
    }
    remove_from_indoc = {
      kind        = "task"
      about       = "The farewell, then out of INDOC"
      secrets     = ["MATRIX_ACCESS_TOKEN", "MATRIX_DEVICE_ACCOUNT", "MATRIX_PICKLE_KEY"]
      queue       = "messages"
      timeout     = 60
      memory      = "512Mi"
      concurrency = 8
      max         = 2
    }
    deliver_welcome = {
      kind        = "task"
      about       = "Hello, then welcome, in one direct room"
      secrets     = ["MATRIX_ACCESS_TOKEN", "MATRIX_DEVICE_ACCOUNT", "MATRIX_PICKLE_KEY"]
      enqueues    = ["accounts"] # a sync of the cache, after a job
      queue       = "messages"
      timeout     = 60
      memory      = "512Mi"
      concurrency = 8
      max         = 2
    }
    update_account = {
      kind        = "task"
      about       = "Groups, deactivation, the used-up invitation, the lines of an import, e-mails"
      secrets     = ["AUTHENTIK_API_TOKEN", "SMTP_PASSWORD"]
      enqueues    = ["invites", "messages"] # an account that is imported begins its onboarding
      queue       = "accounts"
      timeout     = 60
      memory      = "512Mi"
      concurrency = 8
      max         = 1
    }
    remove_from_room = {
      kind        = "task"
      about       = "One member out of one room, for an admin's job"
      secrets     = ["MATRIX_ACCESS_TOKEN"]
      enqueues    = ["accounts"] # a sync of the cache, after a job
      queue       = "messages"
      timeout     = 60
      memory      = "512Mi"
      concurrency = 8
      max         = 2
    }
    set_power_level = {
      kind        = "task"
      about       = "One member's power level in one room"
      secrets     = ["MATRIX_ACCESS_TOKEN"]
      enqueues    = ["accounts"] # a sync of the cache, after a job
      queue       = "messages"
      timeout     = 60
      memory      = "512Mi"
      concurrency = 8
      max         = 1 # all levels of a room are one event: one instance changes it one after the other
    }
    apply_plan = {
      kind        = "task"
      about       = "A part of a plan: its members' jobs; the recipients of a message"
      secrets     = ["MATRIX_ACCESS_TOKEN"]
      enqueues    = ["invites", "accounts", "broadcasts"]
      queue       = "messages"
      timeout     = 60
      memory      = "512Mi"
      concurrency = 4
      max         = 2
    }
    send_message = {
      kind        = "task"
      about       = "A message to one of its recipients"
      secrets     = ["MATRIX_ACCESS_TOKEN", "MATRIX_DEVICE_ACCOUNT", "MATRIX_PICKLE_KEY"]
      queue       = "broadcasts"
      timeout     = 60
      memory      = "512Mi"
      concurrency = 8
      max         = 2
    }
    resume_onboardings = {
      kind        = "job"
      about       = "The sweep: finds whatever was lost"
      secrets     = ["AUTHENTIK_API_TOKEN", "MATRIX_ACCESS_TOKEN", "MATRIX_DEVICE_ACCOUNT", "MATRIX_PICKLE_KEY"]
      enqueues    = ["invites", "messages", "accounts", "broadcasts"]
      schedule    = "* * * * *"
      progress    = "sweep"
      silence     = 15
      timeout     = 220
      memory      = "512Mi"
      concurrency = 4
      max         = 1
    }
    sync_directory = {
      kind        = "job"
      about       = "Accounts, rooms and who is in them, into the cache"
      secrets     = ["AUTHENTIK_API_TOKEN", "MATRIX_ACCESS_TOKEN", "MATRIX_SYNC_ACCESS_TOKEN"]
      queue       = "accounts"
      schedule    = "*/5 * * * *"
      progress    = "sync"
      silence     = 60
      timeout     = 60
      memory      = "512Mi"
      concurrency = 4
      max         = 1
    }
  }

  usual = { named = [], enqueues = [], queue = "", schedule = "", progress = "", silence = 0, roles = [] }

  # What is deployed, completed. A target that the page serves as well only when asked for.
  deployed = {
    for name, function in local.functions : name => merge(local.usual, function, {
      service  = "${local.prefix}-${replace(name, "_", "-")}"
      url      = replace(local.url_template, "{entry-point}", replace(name, "_", "-"))
      public   = contains(["admin", "hook"], function.kind)
      enqueues = distinct(compact(concat(try(function.enqueues, []), [try(function.queue, "")])))
      invoker  = lookup({ task = "tasks", job = "scheduler" }, function.kind, "")
    }) if !contains(["create_invite", "create_user"], name) || contains(var.own_targets, name)
  }
  jobs = { for name, function in local.deployed : name => function if function.kind == "job" }

  # Cloud Run's predictable address. A service cannot name its own in its environment, so all are known beforehand.
  url_template = "https://${local.prefix}-{entry-point}-${data.google_project.this.number}.${var.region}.run.app"
  public_url   = var.public_url != "" ? var.public_url : local.deployed["admin"].url
}
