import django.db.models.deletion
import django.db.models.functions.datetime
import orchestrator.models.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('orchestrator', '__first__'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Draft',
            fields=[
                ('workflow', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='draft', serialize=False, to='orchestrator.workflow')),
                ('revision', models.PositiveIntegerField(default=1)),
                ('published_revision', models.PositiveIntegerField(blank=True, null=True)),
                ('input', orchestrator.models.fields.DrawnJSONField(default=dict)),
                ('output', orchestrator.models.fields.DrawnJSONField(blank=True, null=True)),
                ('has_output', models.BooleanField(default=False)),
                ('settings', orchestrator.models.fields.DrawnJSONField(default=dict)),
                ('regions', orchestrator.models.fields.DrawnJSONField(default=list)),
                ('notes', orchestrator.models.fields.DrawnJSONField(default=list)),
                ('errors', models.PositiveIntegerField(default=0)),
                ('warnings', models.PositiveIntegerField(default=0)),
                ('saved_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('saved_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Edge',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.BigIntegerField()),
                ('source', models.CharField(max_length=63)),
                ('port', models.CharField(max_length=63)),
                ('target', models.CharField(max_length=63)),
                ('draft', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='edges', to='designer.draft')),
            ],
        ),
        migrations.CreateModel(
            name='Step',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.BigIntegerField()),
                ('key', models.CharField(max_length=63)),
                ('name', models.CharField(max_length=200)),
                ('kind', models.CharField(max_length=63)),
                ('x', models.FloatField(default=0)),
                ('y', models.FloatField(default=0)),
                ('parent', models.CharField(blank=True, default='', max_length=63)),
                ('disabled', models.BooleanField(default=False)),
                ('config', orchestrator.models.fields.DrawnJSONField(default=dict)),
                ('options', orchestrator.models.fields.DrawnJSONField(default=dict)),
                ('draft', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='steps', to='designer.draft')),
            ],
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.CheckConstraint(condition=models.Q(('published_revision', None), ('published_revision__lte', models.F('revision')), _connector='OR'), name='draft_published_not_ahead'),
        ),
        migrations.AddConstraint(
            model_name='edge',
            constraint=models.UniqueConstraint(fields=('draft', 'source', 'port', 'target'), name='draft_edge_once'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.UniqueConstraint(fields=('draft', 'key'), name='draft_step_key_once'),
        ),
    ]
