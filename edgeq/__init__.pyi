from edgeq.errors import EdgeqError as EdgeqError
from edgeq.pipeline import Deployment as Deployment
from edgeq.pipeline import Model as Model
from edgeq.pipeline import analyze as analyze
from edgeq.pipeline import build as build
from edgeq.pipeline import check as check
from edgeq.pipeline import check_budgets as check_budgets
from edgeq.pipeline import convert as convert
from edgeq.pipeline import deploy as deploy
from edgeq.pipeline import evaluate as evaluate
from edgeq.pipeline import export as export
from edgeq.pipeline import flash as flash
from edgeq.pipeline import generate as generate
from edgeq.pipeline import judge as judge
from edgeq.pipeline import load_qat as load_qat
from edgeq.pipeline import load_target as load_target
from edgeq.pipeline import plan as plan
from edgeq.pipeline import profile as profile
from edgeq.pipeline import prune as prune
from edgeq.pipeline import qat as qat
from edgeq.pipeline import read_model as read_model
from edgeq.pipeline import remove_dead_channels as remove_dead_channels
from edgeq.pipeline import simulate as simulate
from edgeq.pipeline import sparsity as sparsity
from edgeq.pipeline import survey as survey
from edgeq.quantize.preprocess import PreparedFiles as PreparedFiles

__version__: str
